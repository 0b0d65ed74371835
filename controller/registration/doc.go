// Package registration says who the members of the clusterset are. A [Source] reads one kind of registration (flags, a directory of
// kubeconfigs, labelled Secrets, the cluster of the pod) and sends the complete set of each [Registration] whenever it changes: id,
// credentials, roles, and [Limits], which are what the member is trusted with.
//
// A source that can't read what it reads sends nothing, and one that finds most members gone at once waits before it says so
// (SPEC L6). Credentials that can't be used are part of the registration, as its Err: the member stays, out of reach.
//
// The package connects to no member. It writes one thing: the id that a new member gave itself, into the Secret that registers it.
package registration
