// Command receiver stands in for a Pyroscope server in tests: the official generated handlers of
// push.v1 and querier.v1, the server's default limits with its statuses, google/pprof's own check of every
// profile, and every way of misbehaving that a push client meets.
//
//	receiver [-ca FILE]
//
// It listens on free loopback ports, prints them as one line of JSON and serves until its standard
// input ends. Ports: push (plain HTTP, also queries), tls (a good certificate by the authority in FILE),
// tls_wrong_name, tls_unknown (by another authority), tls_expired, admin, redirect.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
)

const (
	loopback     = "127.0.0.1:0"
	maxBodyBytes = 256 << 20 // distributor.ingestion-body-limit-mb
)

// receiver is the whole thing, for main and for its tests.
type receiver struct {
	admin   *admin
	handler http.Handler
}

func newReceiver() *receiver {
	stored := &store{}
	push := &pusher{store: stored}
	push.reset()
	pushPath, pushHandler := pushv1connect.NewPusherServiceHandler(push, connect.WithReadMaxBytes(maxBodyBytes))
	faults := newFaulty(pushHandler)
	mux := http.NewServeMux()
	mux.Handle(pushPath, faults)
	mux.Handle("/prefix"+pushPath, http.StripPrefix("/prefix", faults))
	mux.Handle(querierv1connect.NewQuerierServiceHandler(&querier{store: stored}))
	return &receiver{&admin{pusher: push, faulty: faults, recorder: &recorder{}}, mux}
}

// listen opens every port and gives their addresses.
func (r *receiver) listen(caFile string) (map[string]string, error) {
	addresses := map[string]string{}
	var failed error
	open := func(name string, handler http.Handler, config *tls.Config, err error) *port {
		p, openError := newPort(loopback, handler, config)
		for _, e := range []error{err, openError} {
			if e != nil {
				failed = fmt.Errorf("%s: %w", name, e)
			}
		}
		addresses[name] = p.address
		return p
	}
	r.admin.port = open("push", r.handler, nil, nil)
	open("redirect", r.admin.recorder, nil, nil)
	r.admin.faulty.redirectTo = addresses["redirect"]
	open("admin", r.admin.routes(), nil, nil)
	if caFile != "" && failed == nil {
		known, err := newAuthority()
		if err != nil {
			return nil, err
		}
		unknown, err := newAuthority()
		if err != nil {
			return nil, err
		}
		good, err := known.issue("127.0.0.1", time.Hour)
		open("tls", r.handler, good, err)
		wrong, err := known.issue("elsewhere.example", time.Hour)
		open("tls_wrong_name", r.handler, wrong, err)
		foreign, err := unknown.issue("127.0.0.1", time.Hour)
		open("tls_unknown", r.handler, foreign, err)
		old, err := known.issue("127.0.0.1", -time.Hour)
		open("tls_expired", r.handler, old, err)
		if err := known.write(caFile); err != nil {
			return nil, err
		}
	}
	return addresses, failed
}

func main() {
	caFile := flag.String("ca", "", "where to write the certificate of the authority; empty: no TLS ports")
	flag.Parse()
	addresses, err := newReceiver().listen(*caFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(addresses)
	io.Copy(io.Discard, os.Stdin)
}
