package controlplane

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/clusterset/multicluster/test/programs"
)

// StartAPIServer starts the API server again after [Cluster.StopAPIServer] or [Cluster.KillAPIServer], on the same port
// and with the same data, and returns when it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	args, err := c.apiServerArgs()
	if err != nil {
		return err
	}
	if err := c.launch(&c.apiServer, "kube-apiserver", args); err != nil {
		return err
	}
	return c.await(ctx, &c.apiServer, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (c *Cluster) apiServerArgs() ([]string, error) {
	args := []string{
		"--etcd-servers=" + c.etcdURL(),
		"--bind-address=" + c.bind.String(),
		"--secure-port=" + strconv.Itoa(c.port.port),
		"--permit-port-sharing", // with our reservation of the port
		"--tls-cert-file=" + filepath.Join(c.pki(), serverCertFile),
		"--tls-private-key-file=" + filepath.Join(c.pki(), serverKeyFile),
		"--client-ca-file=" + filepath.Join(c.pki(), caFile),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + filepath.Join(c.pki(), signingKeyFile),
		"--service-account-signing-key-file=" + filepath.Join(c.pki(), signingKeyFile),
		"--service-cluster-ip-range=" + strings.Join(c.opts.ServiceCIDRs, ","),
		"--authorization-mode=Node,RBAC",
		"--anonymous-auth=false",
		"--allow-privileged",
		"--profiling=false",
		"--shutdown-watch-termination-grace-period=1s", // without it a shutdown waits a minute for open watches
	}
	if c.opts.AdvertiseAddress != "" {
		args = append(args, "--advertise-address="+c.opts.AdvertiseAddress)
	} else {
		args = append(args, "--advertise-address="+reachable(c.bind).String(), "--endpoint-reconciler-type=none")
	}
	if !c.opts.ControllerManager {
		// It refuses pods until a controller has made their service account.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	if c.opts.AuditLog {
		audit, err := c.auditArgs()
		if err != nil {
			return nil, err
		}
		args = append(args, audit...)
	}
	return args, nil
}

// serverNames returns the names and addresses by which the API server is called.
func (c *Cluster) serverNames() ([]string, error) {
	names := []string{
		"localhost", "127.0.0.1", "::1", reachable(c.bind).String(),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
	for _, cidr := range c.opts.ServiceCIDRs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("the service ranges: %w", err)
		}
		names = append(names, prefix.Masked().Addr().Next().String()) // that of Service default/kubernetes
	}
	if c.opts.AdvertiseAddress != "" {
		names = append(names, c.opts.AdvertiseAddress)
	}
	return append(names, c.opts.SANs...), nil
}

// StopAPIServer ends the API server in good order: open requests are answered, watches closed, connections refused from
// then on. It takes a second or two. etcd and the controller manager stay.
func (c *Cluster) StopAPIServer() error {
	return c.onAPIServer("stopping", func(p *process) error {
		const grace = time.Minute
		p.stop(grace)
		return nil
	})
}

// KillAPIServer ends the API server at once, as a crash does. Connections are refused from then on.
func (c *Cluster) KillAPIServer() error {
	return c.onAPIServer("killing", func(p *process) error {
		p.kill()
		return nil
	})
}

// PauseAPIServer makes the API server hang: connections stay, and new ones are accepted by the kernel, but nothing is
// answered until [Cluster.ResumeAPIServer].
func (c *Cluster) PauseAPIServer() error {
	return c.onAPIServer("pausing", func(p *process) error { return programs.Suspend(p.cmd.Process.Pid) })
}

// ResumeAPIServer ends what [Cluster.PauseAPIServer] began.
func (c *Cluster) ResumeAPIServer() error {
	return c.onAPIServer("resuming", func(p *process) error { return programs.Resume(p.cmd.Process.Pid) })
}

func (c *Cluster) onAPIServer(doing string, f func(*process) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := errNotRunning
	if c.apiServer.running() {
		err = f(c.apiServer)
	}
	if err != nil {
		return fmt.Errorf("%s the API server of cluster %s: %w", doing, c.opts.Name, err)
	}
	return nil
}
