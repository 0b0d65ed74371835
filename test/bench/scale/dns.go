package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/miekg/dns"

	"github.com/clusterset/multicluster/test/bench/provider"
	"github.com/clusterset/multicluster/test/programs"
)

// startDNS runs CoreDNS as the consumer would.
func (b *bench) startDNS() error {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.dnsAddress = socket.LocalAddr().String()
	_, port, _ := net.SplitHostPort(b.dnsAddress)
	_ = socket.Close() // a free port; CoreDNS takes no socket that is open
	corefile := fmt.Sprintf("clusterset.local:%s {\n bind 127.0.0.1\n multicluster {\n kubeconfig %s\n }\n}\n", port, b.consumer.Kubeconfig())
	path := filepath.Join(b.dir, "Corefile")
	if err := os.WriteFile(path, []byte(corefile), 0o600); err != nil {
		return err
	}
	b.dns, err = programs.Start(b.dnsProgram, "-conf", path)
	return err
}

// awaitDNS waits until CoreDNS answers for every hundredth name.
func (b *bench) awaitDNS(ctx context.Context) error {
	for n := 0; n < b.exports; n += 100 {
		question := new(dns.Msg).SetQuestion(fmt.Sprintf("%s.%s.svc.clusterset.local.", provider.Name(n), provider.Namespace), dns.TypeA)
		err := poll(ctx, func(ctx context.Context) error {
			reply, _, err := new(dns.Client).ExchangeContext(ctx, question, b.dnsAddress)
			if err == nil && len(reply.Answer) != 1 {
				err = fmt.Errorf("%s: %s with %d answers", question.Question[0].Name, dns.RcodeToString[reply.Rcode], len(reply.Answer))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
