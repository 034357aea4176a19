package main

// egress are the controls on what leaves a box.
func egress() []Control {
	const (
		lane   = "broker/lane.go"
		body   = "broker/lane_body.go"
		socket = "broker/socket.go"
		head   = "broker/proxy/head.go"
		tunnel = "broker/proxy/tunnel.go"
		proxy  = "broker/proxy/proxy.go"
		limits = "broker/proxy/limits.go"
		stream = "internal/redact/stream.go"
		tests  = "broker/proxy."
	)
	return []Control{
		{"a box brings no authorization of its own", lane, `check["Authorization"], check["Cookie"] = true, !permit.Cookies`, `check["Cookie"] = !permit.Cookies`, tests + "TestRefusalsInATunnel"},
		{"the place of a secret takes the secret only", lane, "\t\t\tcheck[headerOf(r.Inject)] = true\n", "", tests + "TestRefusalsInATunnel"},
		{"the address of a kept connection is judged again", lane, "l.way.opened != opened || l.way.stale(g, l.cfg.Origin)", "false", tests + "TestAddressOfAKeptConnectionIsJudgedAgain"},
		{"a path is judged as it is sent", lane, "if err != nil || u.Origin != l.cfg.Origin || !strings.HasPrefix(p.Target, \"/\") {", "if false {", tests + "TestRefusalsInATunnel"},
		{"a lane leads to https names", lane, "u.Scheme != \"https\" {", "false {", tests + "TestSocketIsOfOneUser"},
		{"a WebSocket needs a permit", lane, "if p.Socket && !permit.WebSocket {", "if false {", tests + "TestRefusalsInATunnel"},
		{"messages are not compressed", lane, `delete(x.headers, "Sec-Websocket-Extensions")`, `delete(x.headers, "X-None")`, tests + "TestWebSocketMessagesAreLookedAt"},
		{"messages are looked at", socket, "if name != \"\" {", "if false {", tests + "TestWebSocketMessagesAreLookedAt"},
		{"frames of extensions are refused", socket, "head[0]&0x70 != 0 ||", "", tests + "TestWebSocketMessagesAreLookedAt"},
		{"answers are looked through in pieces", body, "in.ready = in.stream.Write(c.b)\n", "in.ready = c.b\n", tests + "TestAnswersAreLookedThrough"},
		{"a body holds no stored value", body, "o.problem.CompareAndSwap(nil, &abi.Problem{\n\t\t\tCode: abi.CodeDenied, Capability: capSecrets, Rule: ruleLeak,", "(&atomic.Pointer[abi.Problem]{}).CompareAndSwap(nil, &abi.Problem{\n\t\t\tCode: abi.CodeDenied, Capability: capSecrets, Rule: ruleLeak,", tests + "TestBodiesAreLookedThrough"},
		{"a body holds no placeholder", body, "strayPlaceholder(o.rights, text); ok {", "strayPlaceholder(o.rights, text); false && ok {", tests + "TestRefusalsInATunnel"},
		{"an unknown coding is refused", body, "\tdefault:\n\t\treturn nil, &abi.Problem{", "\tcase \"none\":\n\t\treturn nil, &abi.Problem{", tests + "TestAnswersAreLookedThrough"},
		{"what cannot be looked into ends the answer", body, "if name == redact.Unscanned {", "if name == redact.Unscanned && false {", tests + "TestBoxedGitClones"},
		{"cookies of answers stay outside", body, "if !permit.Cookies {", "if false {", tests + "TestAnswersAreLookedThrough"},
		{"a stream keeps back what may begin a value", stream, "out := s.pass(len(s.held) - s.hold)", "out := s.pass(len(s.held))", "internal/redact.TestStreamKeepsBackTheBeginning"},
		{"what went on counts for what comes", stream, "s.past = slices.Clone(keep[max(0, len(keep)-s.hold):])", "_ = keep", "internal/redact.TestStreamFlushedInsideAValue"},
		{"lines end in CR LF", head, "case len(b) < 2 || b[len(b)-2] != '\\r':", "case len(b) < 2:", tests + "TestRefusalsInATunnel"},
		{"a head is bounded", head, "case h.size > maxHead || errors.Is(err, bufio.ErrBufferFull):", "case errors.Is(err, bufio.ErrBufferFull) && false:", tests + "TestRefusalsInATunnel"},
		{"a message has one length", head, "case chunked && sized:", "case false && sized:", tests + "TestRefusalsInATunnel"},
		{"what frames a message is there once", head, "if len(h.header[key]) > 1 {", "if false {", tests + "TestRefusalsInATunnel"},
		{"header fields are not folded", head, "case line[0] == ' ' || line[0] == '\\t':\n\t\treturn malformed(\"a folded header field\")\n\tcase !ok || !httpguts.ValidHeaderFieldName(name):\n\t\treturn malformed(\"a header field without a name\")", "case !ok:\n\t\treturn malformed(\"a header field without a name\")", tests + "TestRefusalsInATunnel"},
		{"only CONNECT is answered", tunnel, "if h.method != http.MethodConnect {", "if false {", tests + "TestRefusalsOnTheSocket"},
		{"only granted hosts have tunnels", tunnel, "case p.lane(u.Origin) == nil:", "case false:", tests + "TestRefusalsOnTheSocket"},
		{"the handshake names the host of the tunnel", tunnel, "if !strings.EqualFold(hello.ServerName, t.host) {", "if false {", tests + "TestHandshakeNamesTheHostOfTheTunnel"},
		{"each request names the host of the tunnel", tunnel, "case !sameOrigin(r.host, t.origin):", "case false:", tests + "TestRefusalsInATunnel"},
		{"there is no tunnel in a tunnel", tunnel, "case r.method == http.MethodConnect:", "case false:", tests + "TestRefusalsInATunnel"},
		{"a target is a path", tunnel, "case !strings.HasPrefix(r.target, \"/\"):", "case false:", tests + "TestRefusalsInATunnel"},
		{"the socket is of one user", tunnel, "err != nil || uid != p.cfg.UID {", "err != nil {", tests + "TestPeerIsChecked"},
		{"a second reflection cuts the box", proxy, "if p.hits.Add(1) >= 2 && !p.cut.Swap(true) {", "if p.hits.Add(1) >= 2 && false {", tests + "TestSecondReflectionCutsTheBox"},
		{"a box has every limit", proxy, "if err := cfg.Limits.check(); err != nil {", "if err := cfg.Limits.check(); false && err != nil {", tests + "TestBudgets"},
		{"requests of a box are counted", limits, "if m.requests.Add(1) > m.limits.Requests {", "if false {", tests + "TestBudgets"},
		{"bytes that leave a box are counted", limits, "if s.m.sent.Add(int64(n)) > s.m.limits.Sent {", "if false {", tests + "TestBudgets"},
		{"bytes that come into a box are counted", limits, "if r.m.received.Add(int64(n)) > r.m.limits.Received {", "if false {", tests + "TestBudgets"},
		{"a head has a time", "broker/proxy/serve1.go", "_ = c.SetReadDeadline(time.Now().Add(t.cfg.Limits.Head))", "_ = c.SetReadDeadline(time.Time{})", tests + "TestSlowProgramsLoseTheirConnection"},
		{"an authority is good for its hosts", "broker/proxy/authority.go", "PermittedDNSDomainsCritical: true, PermittedDNSDomains: hosts,", "", tests + "TestAuthorityIsConstrained"},
		{"names are not asked for outside", "broker/relay/dns.go", "case !known:", "case !known && false:", "broker/relay.TestNamesAreAnsweredHere"},
	}
}
