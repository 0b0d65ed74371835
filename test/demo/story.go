package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/demo/manifests"
)

// A story is the walk-through while it is told.
type story struct {
	out                *screen
	dir                string // with the manifests, where kubectl runs
	set                *clusterset.Set
	provider, consumer *clusterset.Cluster
	client             *clusterset.Shell // nil without packets
	noPackets          error             // why there are none
	applied            time.Time         // when the ServiceImport was
	reached            time.Duration     // from then to the first answer
}

// newStory brings both clusters up. noPackets is nil if there can be packets.
func newStory(ctx context.Context, out *screen, noPackets error) (*story, error) {
	out.chapter("Two clusters on this machine, with kube-apiserver, etcd, kube-controller-manager, nodes, pods, kube-proxy and CoreDNS")
	s := &story{out: out, noPackets: noPackets}
	if err := s.bringUp(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *story) bringUp(ctx context.Context) (err error) {
	if s.noPackets != nil {
		s.out.note("no packets: %v", s.noPackets)
		s.out.note("so pods exist in the API only, and names are asked over DNS, with the client pod's search list, instead of called")
	}
	s.set, err = clusterset.New(ctx, clusterset.Options{
		Clusters: []clusterset.ClusterOptions{{Name: "provider"}, {Name: "consumer"}},
		Packets:  s.noPackets == nil,
		Progress: func(step string) { s.out.note("%s", step) },
		BuildLog: s.out,
	})
	if err != nil {
		return err
	}
	s.provider, s.consumer = s.set.Cluster("provider"), s.set.Cluster("consumer")
	s.dir = filepath.Join(s.consumer.Dir(), "demo")
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	if err := manifests.WriteTo(s.dir); err != nil {
		return err
	}
	return s.set.StartController("--automatic-imports=false")
}

func (s *story) close() {
	if s.set != nil {
		s.set.Close()
	}
}

// tell goes through the text, step by step.
func (s *story) tell(ctx context.Context) error {
	s.out.note("mcs-controller --cluster provider=… --cluster consumer=… --automatic-imports=false runs on this machine")
	chapters := []struct {
		title string
		tell  func(context.Context) error
	}{
		{"Step 1: set up the provider cluster", s.export},
		{"Step 2: set up the consumer cluster", s.importIt},
		{"Step 3: access the Service across clusters", s.access},
	}
	for _, chapter := range chapters {
		s.out.chapter(chapter.title)
		if err := chapter.tell(ctx); err != nil {
			return s.withLogs(err)
		}
	}
	return nil
}

func (s *story) export(ctx context.Context) error {
	for _, command := range []string{
		"kubectl create ns provider-ns",
		"kubectl apply -f app-meta.yaml",
		"kubectl apply -f service-export.yaml",
		"kubectl wait --for=condition=Valid serviceexport/service1 -n provider-ns",
	} {
		if _, err := s.kubectl(ctx, s.provider, command); err != nil {
			return err
		}
	}
	_, err := s.provider.ReadyPods(ctx, "provider-ns", "app=web-demo", 2)
	return err
}

func (s *story) importIt(ctx context.Context) error {
	if _, err := s.kubectl(ctx, s.consumer, "kubectl create ns provider-ns"); err != nil {
		return err
	}
	s.out.note("the client pod, with the dnsConfig of step 3:")
	for _, command := range []string{"kubectl create ns consumer-ns", "kubectl apply -f client-pod.yaml"} {
		if _, err := s.kubectl(ctx, s.consumer, command); err != nil {
			return err
		}
	}
	pods, err := s.consumer.ReadyPods(ctx, "consumer-ns", "app=client-pod", 1)
	if err != nil {
		return err
	}
	if s.noPackets == nil {
		if s.client, err = s.consumer.Shell("consumer-ns", pods[0].Name); err != nil {
			return err
		}
	}
	if _, err := s.kubectl(ctx, s.consumer, "kubectl apply -f service-import.yaml"); err != nil {
		return err
	}
	s.applied = time.Now()
	return s.firstAnswer(ctx)
}

func (s *story) access(ctx context.Context) error {
	s.out.note("Method 1: use the Service name")
	table, err := s.kubectl(ctx, s.consumer, "kubectl get service -n provider-ns")
	if err != nil {
		return err
	}
	if !strings.Contains(table, "amcs-service1") {
		return errors.New("the table has no amcs-service1")
	}
	if err := s.call(ctx, "amcs-service1.provider-ns"); err != nil {
		return err
	}
	s.out.note("Method 2: use a domain name; the line `multicluster clusterset.local` is in the consumer's Corefile")
	if err := s.call(ctx, "service1.provider-ns.svc.clusterset.local"); err != nil {
		return err
	}
	s.out.note("Method 2, shorter: the pod's dnsConfig.searches has clusterset.local")
	return s.call(ctx, "service1.provider-ns")
}

// kubectl runs a command line of the text where its files are, and shows it with what it printed.
func (s *story) kubectl(ctx context.Context, c *clusterset.Cluster, line string) (string, error) {
	s.out.command(c.Name, line)
	cmd := c.KubectlCommand(ctx, strings.Fields(line)[1:]...)
	cmd.Dir = s.dir
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	err := cmd.Run()
	s.out.output(all.String())
	if err != nil {
		return "", fmt.Errorf("`%s` in cluster %s: %w", line, c.Name, err)
	}
	return all.String(), nil
}

// withLogs shows what the controller said last, when the story went wrong.
func (s *story) withLogs(err error) error {
	if log := s.set.ControllerLog(); log != "" {
		s.out.note("the controller's log:")
		s.out.output(log)
	}
	return err
}

func (s *story) summary() string {
	first := fmt.Sprintf("%d ms after the ServiceImport was applied", s.reached.Milliseconds())
	if s.noPackets != nil {
		return fmt.Sprintf("the importing cluster resolves all three names, the first %s; no packets were sent: %v", first, s.noPackets)
	}
	return fmt.Sprintf("pods of the exporting cluster answered all three names in the importing one; the first curl %s", first)
}
