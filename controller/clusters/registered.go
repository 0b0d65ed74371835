package clusters

import corev1 "k8s.io/api/core/v1"

// Registered is what a Secret with [LabelMember] says of a member, as a controller reads it: a program for people that
// looks at the same Secrets judges them by the same rules. Roles are both unless the Secret restricts them, Pin is nil.
func Registered(secret *corev1.Secret) Registration {
	return Secrets{Registration: Registration{Provider: true, Consumer: true, ExportStatus: true}}.registration(secret)
}
