package image

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// corefile has the zone and nothing behind it: the API server is not there.
const corefile = `.:53 {
    errors
    multicluster clusterset.local {
        kubeconfig /kubeconfig
        startup_timeout 100ms
    }
    hosts {
        192.0.2.1 other.example
        fallthrough
    }
}
`

const kubeconfig = `apiVersion: v1
kind: Config
current-context: none
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
`

// answers runs the CoreDNS of an unpacked image in a network namespace of its own and asks it on port 53. Without an API
// server the zone says no more than its version (SPEC D1, D8), and other zones answer as ever (SPEC D10).
func answers(t *testing.T, root string) {
	for name, content := range map[string]string{"Corefile": corefile, "kubeconfig": kubeconfig} {
		if err := os.WriteFile(root+"/"+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, and with it the namespace, ends with the goroutine
		done <- ask(root)
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func ask(root string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bringing the loopback device up: %w", err)
	}
	cmd := container{root: root, capability: true, args: []string{"/coredns", "-conf", "/Corefile"}}.command()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	err := questions()
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if err != nil {
		return fmt.Errorf("%w; CoreDNS says\n%s", err, log.String())
	}
	return nil
}

func questions() error {
	for _, q := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"dns-version.clusterset.local.", dns.TypeTXT, `NOERROR "1.0.0"`},
		{"svc.clusterset.local.", dns.TypeA, "SERVFAIL"},
		{"other.example.", dns.TypeA, "NOERROR 192.0.2.1"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			got, err := exchange(network, q.name, q.qtype)
			if err != nil || got != q.want {
				return fmt.Errorf("%s over %s: got %q (%v), want %q", q.name, network, got, err, q.want)
			}
		}
	}
	return nil
}

// exchange asks until somebody answers, and returns the response code and the data of the answer's records.
func exchange(network, name string, qtype uint16) (string, error) {
	client := &dns.Client{Net: network, Timeout: time.Second}
	question := new(dns.Msg).SetQuestion(name, qtype)
	giveUp := time.After(2 * time.Minute)
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for {
		reply, _, err := client.Exchange(question, "127.0.0.1:53")
		if err == nil {
			words := []string{dns.RcodeToString[reply.Rcode]}
			for _, rr := range reply.Answer {
				words = append(words, strings.TrimPrefix(rr.String(), rr.Header().String()))
			}
			return strings.Join(words, " "), nil
		}
		select {
		case <-giveUp:
			return "", err
		case <-again.C:
		}
	}
}

// loopbackUp brings up the device lo of the calling thread's network namespace.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
