package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// clients is how many ask at once, each waiting for its reply before it asks again.
const clients = 8

// ask sends messages to a server for a while, and returns the CPU time that each took the server.
func ask(ctx context.Context, s *server, messages [][]byte, tcp bool, duration time.Duration) (perQuery time.Duration, err error) {
	var asked atomic.Int64
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	before, err := s.process.CPU()
	if err != nil {
		return 0, err
	}
	errs := make(chan error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			n, err := askOne(ctx, s.addr, messages[i*len(messages)/clients:(i+1)*len(messages)/clients], tcp)
			asked.Add(int64(n))
			if err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	after, err := s.process.CPU()
	if err != nil {
		return 0, err
	}
	select {
	case err := <-errs:
		return 0, fmt.Errorf("asking %s: %w", s.name, err)
	default:
	}
	if asked.Load() == 0 {
		return 0, fmt.Errorf("asking %s: no reply", s.name)
	}
	return (after - before) / time.Duration(asked.Load()), nil
}

// askOne is one client.
func askOne(ctx context.Context, addr string, messages [][]byte, tcp bool) (asked int, err error) {
	network := "udp"
	if tcp {
		network = "tcp"
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	buf := make([]byte, dns.MaxMsgSize+2)
	for ctx.Err() == nil {
		for _, m := range messages {
			if ctx.Err() != nil {
				break
			}
			if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
				return asked, err
			}
			if _, err := exchange(conn, m, buf, tcp); err != nil {
				return asked, err
			}
			asked++
		}
	}
	return asked, nil
}

// exchange sends a message and returns the reply.
func exchange(conn net.Conn, m, buf []byte, tcp bool) ([]byte, error) {
	if !tcp {
		if _, err := conn.Write(m); err != nil {
			return nil, err
		}
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	framed := append(binary.BigEndian.AppendUint16(buf[:0], uint16(len(m))), m...)
	if _, err := conn.Write(framed); err != nil {
		return nil, err
	}
	if _, err := readFull(conn, buf[:2]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(buf))
	_, err := readFull(conn, buf[:size])
	return buf[:size], err
}

func readFull(conn net.Conn, buf []byte) (n int, err error) {
	for n < len(buf) {
		m, err := conn.Read(buf[n:])
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// reply asks one question.
func (s *server) reply(m []byte, tcp bool) (*dns.Msg, error) {
	network := "udp"
	if tcp {
		network = "tcp"
	}
	conn, err := net.DialTimeout(network, s.addr, time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return nil, err
	}
	packed, err := exchange(conn, m, make([]byte, dns.MaxMsgSize+2), tcp)
	if err != nil {
		return nil, err
	}
	r := new(dns.Msg)
	return r, r.Unpack(packed)
}

// check asks one question of a row and compares the reply with what it should be.
func (s *server) check(q question, m []byte) error {
	r, err := s.reply(m, q.tcp)
	if err == nil {
		err = q.expect(r)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", s.name, q.row, err)
	}
	return nil
}
