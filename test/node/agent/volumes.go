package agent

import (
	"context"
	"fmt"
	"path"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// volumeFiles returns the files of the pod's volumes under the paths at which its container mounts them: ConfigMaps,
// Secrets, tokens of the service account and the downward API, each as it is now.
func volumeFiles(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		for i := range pod.Spec.Volumes {
			volume := &pod.Spec.Volumes[i]
			if volume.Name != mount.Name {
				continue
			}
			content, err := volumeContent(ctx, client, pod, volume)
			if err != nil {
				return nil, fmt.Errorf("volume %s: %w", volume.Name, err)
			}
			for name, data := range content {
				switch mount.SubPath {
				case "":
					files[path.Join(mount.MountPath, name)] = data
				case name:
					files[mount.MountPath] = data
				}
			}
		}
	}
	return files, nil
}

func volumeContent(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, volume *corev1.Volume) (map[string][]byte, error) {
	switch {
	case volume.EmptyDir != nil:
		return nil, nil
	case volume.ConfigMap != nil:
		s := volume.ConfigMap
		return source(ctx, client, pod, &corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: s.LocalObjectReference, Items: s.Items, Optional: s.Optional,
		}})
	case volume.Secret != nil:
		s := volume.Secret
		return source(ctx, client, pod, &corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: s.SecretName}, Items: s.Items, Optional: s.Optional,
		}})
	case volume.DownwardAPI != nil:
		return source(ctx, client, pod, &corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{Items: volume.DownwardAPI.Items}})
	case volume.Projected != nil:
		content := map[string][]byte{}
		for i := range volume.Projected.Sources {
			part, err := source(ctx, client, pod, &volume.Projected.Sources[i])
			if err != nil {
				return nil, err
			}
			for name, data := range part {
				content[name] = data
			}
		}
		return content, nil
	}
	return nil, fmt.Errorf("this kind of volume is not known to the test's node")
}

// source returns the files of one source of a volume.
func source(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, p *corev1.VolumeProjection) (map[string][]byte, error) {
	switch {
	case p.ConfigMap != nil:
		object, err := client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, p.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			return nil, unless(p.ConfigMap.Optional, err)
		}
		data := object.BinaryData
		if data == nil {
			data = map[string][]byte{}
		}
		for name, text := range object.Data {
			data[name] = []byte(text)
		}
		return selected(data, p.ConfigMap.Items), nil
	case p.Secret != nil:
		object, err := client.CoreV1().Secrets(pod.Namespace).Get(ctx, p.Secret.Name, metav1.GetOptions{})
		if err != nil {
			return nil, unless(p.Secret.Optional, err)
		}
		return selected(object.Data, p.Secret.Items), nil
	case p.ServiceAccountToken != nil:
		token, err := serviceAccountToken(ctx, client, pod, p.ServiceAccountToken)
		return map[string][]byte{p.ServiceAccountToken.Path: token}, err
	case p.DownwardAPI != nil:
		content := map[string][]byte{}
		for _, item := range p.DownwardAPI.Items {
			if item.FieldRef == nil {
				return nil, fmt.Errorf("%s: only fieldRef is known to the test's node", item.Path)
			}
			value, err := fieldOf(pod, item.FieldRef.FieldPath)
			if err != nil {
				return nil, err
			}
			content[item.Path] = []byte(value)
		}
		return content, nil
	}
	return nil, fmt.Errorf("this source of a projected volume is not known to the test's node")
}

// unless returns err, or nil if it only says that something optional does not exist.
func unless(optional *bool, err error) error {
	if optional != nil && *optional && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// selected returns the items of data under their paths; no items means all.
func selected(data map[string][]byte, items []corev1.KeyToPath) map[string][]byte {
	if len(items) == 0 {
		return data
	}
	content := map[string][]byte{}
	for _, item := range items {
		content[item.Path] = data[item.Key]
	}
	return content
}

func serviceAccountToken(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) ([]byte, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: p.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if p.Audience != "" {
		request.Spec.Audiences = []string{p.Audience}
	}
	account := pod.Spec.ServiceAccountName
	answer, err := client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("a token for service account %s: %w", account, err)
	}
	return []byte(answer.Status.Token), nil
}

// fieldOf returns a field of the pod as the downward API names it.
func fieldOf(pod *corev1.Pod, field string) (string, error) {
	switch field {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.podIP":
		return pod.Status.PodIP, nil
	}
	return "", fmt.Errorf("the field %s is not known to the test's node", field)
}
