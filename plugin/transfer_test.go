package multicluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"
)

// transferred returns the records of a transfer as text, sorted, without the SOA at its ends.
func transferred(t testing.TB, f *fixture, origin string) []string {
	t.Helper()
	ch, err := f.Transfer(origin, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []dns.RR
	for rrs := range ch {
		all = append(all, rrs...)
	}
	if len(all) < 2 || all[0].Header().Rrtype != dns.TypeSOA || all[0].String() != all[len(all)-1].String() {
		t.Fatalf("a transfer begins and ends with the SOA: %v", all)
	}
	return texts(all[1 : len(all)-1])
}

// sameAsAsked fails unless what was transferred is what each of its names is answered with, and returns the names.
func sameAsAsked(t testing.TB, f *fixture, got []string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	var want []string
	for _, record := range got {
		names[strings.Fields(record)[0]] = true
	}
	for name := range names {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT, dns.TypeNS} {
			reply, _ := f.ask(overTCP, name, qtype)
			want = append(want, texts(reply.Answer)...)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("transferred\n  %s\nasked one by one\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if len(got) != len(slices.Compact(slices.Clone(got))) {
		t.Error("a record is there twice")
	}
	return names
}

// TestTransfer_D12: a transfer has what queries are answered with, each record once, two clusters' hosts of one name apart.
func TestTransfer_D12(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices)
	f.apply("kind: ServiceImport\nmetadata: {name: a.b, namespace: shop}\nspec: {type: ClusterSetIP, ips: [10.96.0.9], ports: []}")
	f.apply(strings.Replace(dbImport, "name: db", "name: empty", 1))
	got := transferred(t, f, testZone)
	names := sameAsAsked(t, f, got)
	for _, name := range []string{
		testZone, "ns.dns." + testZone, "dns-version." + testZone, "web.shop.svc." + testZone, "_http._tcp.web.shop.svc." + testZone,
		"db.shop.svc." + testZone, "_pg._tcp.db.shop.svc." + testZone, "_stats._tcp.db.shop.svc." + testZone,
		"db-0.east.db.shop.svc." + testZone, "db-0.west.eu.db.shop.svc." + testZone, "10-2-0-9.west.eu.db.shop.svc." + testZone,
	} {
		if !names[name] {
			t.Errorf("%s is not transferred", name)
		}
	}
}

// TestTransferOther: other zones are not ours; who has the serial of today is told so (RFC 1995).
func TestTransferOther(t *testing.T) {
	f := newFixture(t, testZone)
	for _, origin := range []string{"example.org.", "svc." + testZone, "local."} {
		if _, err := f.Transfer(origin, 0); !errors.Is(err, transfer.ErrNotAuthoritative) {
			t.Errorf("%s: %v", origin, err)
		}
	}
	soa, _ := f.ask(roomy, testZone, dns.TypeSOA)
	serial := soa.Answer[0].(*dns.SOA).Serial
	for _, c := range []struct {
		has   uint32
		whole bool
	}{{serial, false}, {serial + 1, false}, {serial - 1, true}} {
		ch, err := f.Transfer(testZone, c.has)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rrs := range ch {
			n += len(rrs)
		}
		if (n > 1) != c.whole {
			t.Errorf("a client that has serial %d, of %d, gets %d records", c.has, serial, n)
		}
	}
}

// TestSerial_D14: the serial grows when it is read after a change that answers show, and only then.
func TestSerial_D14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lastSerial.Store(0) // of another clock
		f := newFixture(t, testZone, "other.example.")
		last := uint32(0)
		read := func(origin string) uint32 {
			reply, _ := f.ask(roomy, origin, dns.TypeSOA)
			return reply.Answer[0].(*dns.SOA).Serial
		}
		grown := func() bool {
			t.Helper()
			now := read(testZone)
			if again, other := read(testZone), read("other.example."); again != now || other != now {
				t.Errorf("serials %d, %d and %d of one state", now, again, other)
			}
			defer func() { last = now }()
			return now > last
		}
		if !grown() || last < uint32(time.Now().Unix())-5 {
			t.Errorf("the first serial is %d", last)
		}
		const slice = `
metadata: {name: %s, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east%s}}
addressType: IPv4
ports: [{name: pg, port: %d}]
endpoints: [{addresses: [10.1.0.1], zone: a}, {addresses: [10.1.0.2], conditions: {ready: %v}}]`
		for _, step := range []struct {
			what string
			do   func()
			show bool
		}{
			{"nothing", func() {}, false},
			{"an import", func() { f.apply(webImport) }, true},
			{"the same import", func() { f.apply(webImport) }, false},
			{"slices of nothing", func() { f.apply(fmt.Sprintf(slice, "s", "", 1, true)) }, false},
			{"a headless import", func() { f.apply(dbImport) }, true},
			{"other ports of a headless import", func() { f.apply(strings.Replace(dbImport, "5432", "5433", 1)) }, false},
			{"an endpoint less", func() { f.apply(fmt.Sprintf(slice, "s", "", 1, false)) }, true},
			{"another label of the slice", func() { f.apply(fmt.Sprintf(slice, "s", ", x: y", 1, false)) }, false},
			{"another port number", func() { f.apply(fmt.Sprintf(slice, "s", "", 2, false)) }, true},
			{"the same endpoints in a second slice", func() { f.apply(fmt.Sprintf(slice, "t", "", 2, false)) }, false},
			{"a rank that both have", func() {
				for _, name := range []string{"s", "t"} {
					f.apply(strings.Replace(fmt.Sprintf(slice, name, "", 2, false), "labels:", `annotations: {clusterset.dev/rank: "2"}, labels:`, 1))
				}
			}, false},
			{"one of the two goes", func() { f.remove(fmt.Sprintf(slice, "s", "", 2, false)) }, false},
			{"the other goes", func() { f.remove(fmt.Sprintf(slice, "t", "", 2, false)) }, true},
			{"slices of a ClusterSetIP service", func() { f.apply(strings.ReplaceAll(dbSlices, "service-name: db", "service-name: web")) }, false},
			{"a type", func() { f.apply(strings.Replace(webImport, "type: ClusterSetIP", "type: Headless", 1)) }, true},
			{"an import goes", func() { f.remove(webImport) }, true},
			{"it is gone", func() { f.remove(webImport) }, false},
		} {
			time.Sleep(time.Second)
			step.do()
			if grown() != step.show {
				t.Errorf("%s: serial %d", step.what, last)
			}
		}
	})
}

// TestFlapping_D14: however fast answers change, and whoever reads the serial, it does not run ahead of the clock, and every state
// has been replaced by a greater serial a second later: a secondary sees each change.
func TestFlapping_D14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lastSerial.Store(0) // of another clock
		f := newFixture(t, testZone)
		read := func() uint32 {
			reply, _ := f.ask(roomy, "nobody.shop.svc."+testZone, dns.TypeA)
			return reply.Ns[0].(*dns.SOA).Serial
		}
		flap := func(i int) {
			if f.apply(webImport); i%2 == 0 {
				f.remove(webImport)
			}
		}
		var last uint32
		for i := range 5000 { // of 10 ms
			flap(i)
			now := read()
			if at := uint32(time.Now().Unix()); now > at {
				t.Fatalf("after %d changes the serial is %d s ahead of the clock", i, now-at)
			}
			if i%97 == 0 { // whoever transferred this state
				time.Sleep(time.Second)
				if later := read(); later <= now && i > 0 {
					t.Fatalf("the serial of a state is %d, and %d after it has changed", now, later)
				}
				last = read()
				time.Sleep(time.Second)
				if again := read(); again != last {
					t.Fatalf("nothing changed, and the serial moved on from %d to %d", last, again)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		last = read()
		lastSerial.Store(last + 1000) // as if the clock had been set back meanwhile
		f.zones[0].source.serial.value = last + 1000
		for i := range 100 {
			flap(1)
			flap(2)
			time.Sleep(time.Second)
			if now := read(); now != last+1001+uint32(i) {
				t.Fatalf("on a clock that was set back the serial is %d after %d", now, last+1000+uint32(i))
			}
		}
	})
}

// TestTransferEnds_L11: a transfer that nobody takes ends, and so does one of a server that stops, or that takes too long; what came
// of it can't be taken for a whole one. Others are not affected.
func TestTransferEnds_L11(t *testing.T) {
	const patience, stop, slow = "the secondary stops reading", "the server stops", "the secondary reads very slowly"
	for _, name := range []string{patience, stop, slow} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, testZone)
				src := f.zones[0].source
				src.ctx, src.cancel = context.WithCancel(t.Context())
				defer src.cancel()
				f.apply(bigSlices(1, 1000, 50))
				ch, err := f.Transfer(testZone, 0)
				if err != nil {
					t.Fatal(err)
				}
				<-ch
				switch name {
				case patience:
					time.Sleep(transferPatience + time.Second)
				case stop:
					src.cancel()
				case slow:
					for end := time.Now().Add(transferTime - transferPatience); time.Now().Before(end); time.Sleep(transferPatience / 2) {
						if _, more := <-ch; !more {
							t.Error("nothing comes any longer, though it was read")
						}
					}
					time.Sleep(transferPatience)
				}
				synctest.Wait()
				for rrs := range ch {
					t.Errorf("%d records came afterwards, %v", len(rrs), rrs[0])
				}
				if n := src.transfers.n.Load(); n != 0 {
					t.Errorf("%d transfers are under way", n)
				}
			})
		})
	}
}

// TestManyTransfers_X7: so many transfers are under way at most, and one that ends makes room for another.
func TestManyTransfers_X7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, testZone)
		f.apply(bigSlices(1, 1000, 1))
		var all []<-chan []dns.RR
		for range maxTransfers {
			ch, err := f.Transfer(testZone, 0)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, ch)
		}
		if _, err := f.Transfer(testZone, 0); !errors.Is(err, errTooManyTransfers) {
			t.Errorf("one more: %v", err)
		}
		for range all[0] {
			synctest.Wait()
		}
		synctest.Wait()
		transferred(t, f, testZone)
		time.Sleep(transferPatience)
	})
}
