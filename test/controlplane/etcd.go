package controlplane

import (
	"context"
	"fmt"
	"os"
)

// startEtcd starts etcd on a Unix socket in the cluster's directory, which takes no port and lets in nobody but this
// user. It does not wait for it: the API server does.
func (c *Cluster) startEtcd() error {
	return c.launch(&c.etcd, "etcd", []string{
		"--name=default",
		"--data-dir=" + c.etcdData(),
		"--listen-client-urls=" + c.etcdURL(),
		"--advertise-client-urls=" + c.etcdURL(),
		"--listen-peer-urls=http://127.0.0.1:0", // there are no peers
		"--unsafe-no-fsync",
		"--quota-backend-bytes=17179869184", // 16 GiB; the default of 2 is what 50,000 services with their history reach
		"--log-level=warn",
	})
}

func (c *Cluster) etcdURL() string  { return "unix://" + c.path("etcd.sock") }
func (c *Cluster) etcdData() string { return c.path("etcd") }

// WipeEtcd takes all data away, as a restore from an empty backup would: API server and etcd are killed, and started
// again with nothing in them; resource versions begin anew. So is the controller manager, whose service accounts go with
// the data. It returns when the cluster is ready again.
func (c *Cluster) WipeEtcd(ctx context.Context) error {
	c.mu.Lock()
	c.killAll()
	err := os.RemoveAll(c.etcdData())
	c.mu.Unlock()
	if err == nil {
		err = c.startAll(ctx)
	}
	if err != nil {
		return fmt.Errorf("wiping cluster %s: %w", c.opts.Name, err)
	}
	return nil
}
