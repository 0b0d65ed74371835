package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/node/container"
	"github.com/clusterset/multicluster/test/node/webdemo"
)

// defaultPort is what the web demo listens on in a container that names no port, as its image does.
const defaultPort = 8080

// containerSpec returns what the pod's container is to be, given the pod's addresses.
func (a *Agent) containerSpec(ctx context.Context, pod *corev1.Pod, ips []netip.Addr) (*container.Spec, error) {
	if err := supported(pod); err != nil {
		return nil, err
	}
	pod = pod.DeepCopy()
	pod.Status.PodIP = ips[0].String() // the downward API may ask for it
	files, err := volumeFiles(ctx, a.Client, pod)
	if err != nil {
		return nil, err
	}
	conf, err := resolvConfFor(pod, a.Addresses.DNS, a.ClusterDomain, a.machineDNS())
	if err != nil {
		return nil, err
	}
	files["/etc/resolv.conf"] = []byte(conf.String())
	files["/etc/hosts"] = []byte(hosts(pod, ips, a.ClusterDomain))
	env, err := a.env(ctx, pod)
	if err != nil {
		return nil, err
	}
	spec := &container.Spec{Hostname: hostname(pod), Files: files, Env: env, Args: expanded(a.program(&pod.Spec.Containers[0]), env)}
	if len(spec.Args) == 0 {
		spec.Web = a.webDemo(pod)
	}
	return spec, nil
}

func supported(pod *corev1.Pod) error {
	switch spec := &pod.Spec; {
	case len(spec.Containers) != 1 || len(spec.InitContainers) > 0:
		return errors.New("the test's node runs pods of one container, without init containers")
	case spec.HostNetwork:
		return errors.New("the test's node runs no pods with hostNetwork")
	}
	return nil
}

// program returns what the container executes, nothing for the web demo.
func (a *Agent) program(c *corev1.Container) []string {
	command := c.Command
	if len(command) == 0 {
		command = a.Images[imageName(c.Image)]
	}
	if len(command) == 0 {
		return nil
	}
	return append(append([]string{}, command...), c.Args...)
}

// imageName returns the last part of an image's name, without registry, tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name, _, _ := strings.Cut(path.Base(image), ":")
	return name
}

func (a *Agent) webDemo(pod *corev1.Pod) *webdemo.Server {
	s := &webdemo.Server{Cluster: a.Cluster, Pod: pod.Name}
	for _, env := range pod.Spec.Containers[0].Env {
		if env.Name == "ENV_NAME" && env.Value != "" {
			s.Cluster = env.Value
		}
	}
	for _, port := range pod.Spec.Containers[0].Ports {
		switch port.Protocol {
		case corev1.ProtocolUDP:
			s.UDP = append(s.UDP, uint16(port.ContainerPort))
		case corev1.ProtocolTCP, "":
			s.TCP = append(s.TCP, uint16(port.ContainerPort))
		}
	}
	if len(pod.Spec.Containers[0].Ports) == 0 {
		s.TCP = []uint16{defaultPort}
	}
	return s
}

// env returns the container's environment: what every pod has, then its own.
func (a *Agent) env(ctx context.Context, pod *corev1.Pod) ([]string, error) {
	apiServer, err := a.Client.CoreV1().Services(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOSTNAME=" + hostname(pod),
		"KUBERNETES_SERVICE_HOST=" + apiServer.Spec.ClusterIP,
		fmt.Sprintf("KUBERNETES_SERVICE_PORT=%d", apiServer.Spec.Ports[0].Port),
	}
	for _, e := range pod.Spec.Containers[0].Env {
		value := e.Value
		if e.ValueFrom != nil {
			if value, err = a.valueFrom(ctx, pod, e.ValueFrom); err != nil {
				return nil, fmt.Errorf("environment variable %s: %w", e.Name, err)
			}
		}
		env = append(env, e.Name+"="+value)
	}
	return env, nil
}

// valueFrom returns the value of an environment variable that stands elsewhere.
func (a *Agent) valueFrom(ctx context.Context, pod *corev1.Pod, from *corev1.EnvVarSource) (string, error) {
	switch {
	case from.FieldRef != nil:
		return fieldOf(pod, from.FieldRef.FieldPath)
	case from.ConfigMapKeyRef != nil:
		object, err := a.Client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, from.ConfigMapKeyRef.Name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		value, found := object.Data[from.ConfigMapKeyRef.Key]
		if !found {
			return "", fmt.Errorf("ConfigMap %s has no key %s", object.Name, from.ConfigMapKeyRef.Key)
		}
		return value, nil
	case from.ResourceFieldRef != nil && from.ResourceFieldRef.Resource == "limits.memory":
		return fmt.Sprint(pod.Spec.Containers[0].Resources.Limits.Memory().Value()), nil
	}
	return "", errors.New("only fieldRef, configMapKeyRef and limits.memory are known to the test's node")
}

// expanded returns arguments in which $(NAME) stands for a variable of the environment.
func expanded(args, env []string) []string {
	var pairs []string
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		pairs = append(pairs, "$("+name+")", value)
	}
	replacer, out := strings.NewReplacer(pairs...), make([]string, len(args))
	for i, arg := range args {
		out[i] = replacer.Replace(arg)
	}
	return out
}

// hostname is spec.hostname, which a StatefulSet's controller sets, else the pod's name, cut as kubelet cuts it.
func hostname(pod *corev1.Pod) string {
	name := pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	return strings.TrimRight(name[:min(len(name), 63)], "-.")
}

// hosts returns the file that kubelet gives to a pod.
func hosts(pod *corev1.Pod, ips []netip.Addr, clusterDomain string) string {
	names := hostname(pod)
	if pod.Spec.Subdomain != "" {
		names = fmt.Sprintf("%s.%s.%s.svc.%s\t%s", names, pod.Spec.Subdomain, pod.Namespace, clusterDomain, names)
	}
	file := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	for _, ip := range ips {
		file += fmt.Sprintf("%s\t%s\n", ip, names)
	}
	return file
}

// machineDNS is the node's own resolv.conf: its router, where nobody answers DNS. So nothing that a test asks leaves it.
func (a *Agent) machineDNS() resolvConf {
	var conf resolvConf
	for _, router := range a.Addresses.Router {
		conf.Servers = append(conf.Servers, router.String())
	}
	return conf
}
