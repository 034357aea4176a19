package main

// installs are the controls between a folder and a loaded skill, and those that keep
// installed versions in order.
func installs() []Control {
	const (
		gate  = "skills/install/gate.go"
		plan  = "skills/install/plan.go"
		store = "skills/install/store.go"
		lock  = "skills/install/lock.go"
		trust = "host/trust.go"
		pkg   = "skills/install."
		all   = pkg + "TestRefusalMatrix"
	)
	return []Control{
		{"a load is judged", "host/tool.go", "return t.host.trust.Load(ctx, t.bundle, t.artifact)", "return t.bundle.Read()", "host.TestLoadsAreJudged"},
		{"a listing is judged", "host/survey.go", "s.Admission, s.Err = v.trust.Look(ctx, f.Bundle, f.Artifact); s.Err == nil", "s.Admission, s.Err = new(install.Admission), error(nil); s.Err == nil", "host.TestUnsignedIsNotLoaded"},
		{"a key that went takes its judgements with it", trust, "t.own, t.epoch = own, t.epoch+1", "t.own = own\n\t\tif t.epoch == 0 {\n\t\t\tt.epoch = 1\n\t\t}", "host.TestUnsignedIsNotLoaded"},
		{"what runs is stopped", "host/revoke.go", "r.stop(err)\n", "", "host.TestWithdrawnWhileItRuns"},
		{"revocations are looked for", trust, "t.client.changed(ctx, t.openRegistries) || now.Sub(t.looked).Abs() >= verdictTime {", "t.epoch == 0 {", "host.TestWithdrawnWhileItRuns"},
		{"advisories are looked for", trust, "t.known.Advisories = t.index.open", "t.known.Advisories = nil", "host.TestWithdrawnWhileItRuns"},
		{"an expired registry is warned of", "host/refresh.go", "if st.Problem != nil {", "if false {", "host.TestExpiredRegistry"},
		{"who wants current registries gets no others", trust, "if t.settings.Current {", "if false {", "host.TestExpiredRegistry"},
		{"registries expire while nothing changes", trust, " || now.Sub(t.looked).Abs() >= verdictTime {", " {", "host.TestExpiredRegistry"},
		{"revocations that are lost are missed", trust, "errors.Join(t.client.err, lost(t.client.file, t.state.RegistryCache()))", "t.client.err", "host.TestLostRegistries"},
		{"a refresh is on record", "host/refresh.go", "\tobserver{h.ledger, h.log}.append(context.WithoutCancel(ctx), e)\n", "", "host.TestRegistriesAreKeptCurrent"},
		{"nothing is refreshed unasked", "host/refresh.go", "for every > 0 {", "for {", "host.TestRegistriesAreKeptCurrent"},
		{"a higher number elsewhere does not decide", "cmd/glovebox/skill_fetch.go", "if n.Digest != best.Digest {", "if false {", "cmd/glovebox.TestRegistriesThatShareAName"},
		{"a withdrawal counts in every registry", "cmd/glovebox/skill_fetch.go", "o.Yanked != nil && o.Digest == f.Digest", "o.Yanked != nil && o.Digest == f.Digest && o.Registry == f.Registry", "cmd/glovebox.TestRegistriesThatShareAName"},
		{"signed facts are those of the manifest", gate, "if s.Statement != nil {", "if false {", all},
		{"the artifact is the one of the lock file", gate, "if expected != \"\" && digest != expected {", "if false {", all},
		{"the module is read and hashed", gate, "\tif whole {", "\tif false {", all},
		{"a signature is no link", gate, "if !info.Mode().IsRegular() {", "if info.IsDir() {", all},
		{"denied digests are not loaded", gate, "if why, denied := g.policy.Denied[d]; denied {", "if why, denied := g.policy.Denied[d]; denied && why == \"\" {", all},
		{"revoked bundles are not loaded", gate, "r.Digest != \"\" && (r.Digest == a.Artifact || r.Digest == a.Manifest) || ", "", all},
		{"a manifest can be revoked", gate, " || r.Digest == a.Manifest)", ")", all},
		{"signers can be revoked", gate, " || r.Signer != abi.Signer{} && r.Signer == a.Signer", "", all},
		{"an empty revocation revokes nothing", gate, "r.Signer != abi.Signer{} && r.Signer", "r.Signer == abi.Signer{} || r.Signer", all},
		{"unknown revocations are no revocations", gate, "if k.Unrevocable != nil && !g.lenient(a) {", "if false {", all},
		{"module and document agree", gate, "if err := sbom.Agree(own.list, document); err != nil {", "if err := sbom.Agree(nil, document); err != nil {", all},
		{"no database is no answer", gate, "if k.Advisories == nil {", "if k.Advisories == nil {\n\t\treturn advisory.Report{Verdict: advisory.Pass}, nil\n\t}\n\tif false {", all},
		{"only this machine's skills go unchecked", gate, "return g.policy.Lenient != \"\" && a.Publisher == g.policy.Lenient", "return true", all},
		{"a failed question is no answer", gate, "if g.lenient(a) && (errors.Is(err, advisory.ErrNoDB) || errors.Is(err, advisory.ErrStale)) {", "if g.lenient(a) && err != nil {", pkg + "TestRefusalMatrix"},
		{"a known advisory blocks", gate, "if f.Verdict == advisory.Block {", "if false {", all},
		{"a module is known once it was read", gate, "g.modules[digest] = d\n", "", pkg + "TestLookWithoutTheModule"},
		{"an older version does not come back", plan, "case c < 0 && !opt.Downgrade:", "case false:", pkg + "TestHistory"},
		{"a version has one content", plan, "case c == 0 && was.Content != a.Artifact", "case false && was.Content != a.Artifact", pkg + "TestHistory"},
		{"a pinned skill stays", plan, "case was.Pinned && was.Artifact != a.Artifact:", "case false:", pkg + "TestHistory"},
		{"another publisher takes nothing over", plan, "case was.Publisher != a.Publisher && !opt.OtherOwner:", "case false:", pkg + "TestHistory"},
		{"what comes is what was asked for", plan, "opt.Version != \"\" && version != opt.Version", "false", pkg + "TestHistory"},
		{"the index names the signer", plan, "if opt.Signer != (abi.Signer{}) && opt.Signer != a.Signer {", "if false {", pkg + "TestHistory"},
		{"an upgrade widens nothing", plan, "\t\t\ta.add(p.kept, g)", "\t\t\ta.add(asked, g)", pkg + "TestGrantOfAnUpgrade"},
		{"a no to more takes what was given less of", plan, "case (a.bounded || slices.Contains(p.Granted, a.ID)) && a.granted(p.kept):", "case a.granted(p.kept):", pkg + "TestConsentIsNotInherited"},
		{"consent is to a publisher's version that is there", plan, "p := &Plan{Admission: a,", "p := &Plan{kept: grant, Admission: a,", pkg + "TestConsentIsNotInherited"},
		{"another publisher inherits nothing", plan, "\tif was.Publisher == a.Publisher {", "\tif true {", pkg + "TestConsentIsNotInherited"},
		{"where a secret is put is asked", "skills/install/asks.go", "placed(n.Inject.Injection())),", "\"\"),", pkg + "TestConsentIsNotInherited"},
		{"whom nobody named is said to be so", "skills/signature/verifier.go", "refused = v.invite(refused, b, skill)", "refused.Fix += \"\"", "skills/signature.TestNobodyMaySignThatName"},
		{"a claim is for print", "skills/signature/claim.go", "strconv.QuoteToASCII(key.GetHint())", "key.GetHint()", "skills/signature.TestNobodyMaySignThatName"},
		{"an invitation is for names without a publisher", "skills/signature/claim.go", "\tif v.covers(skill) {", "\tif false {", "skills/signature.TestNobodyMaySignThatName"},
		{"every difference is shown", "skills/install/changes.go", "\tchangedManifest(add, &old.Manifest, &next.Manifest)\n", "", pkg + "TestEveryDifferenceIsShown"},
		{"a grant pins its version", plan, "if g.Pin == nil || g.Pin.SHA256 != p.entry.Manifest.Hex() {", "if false {", pkg + "TestGrantOfAnUpgrade"},
		{"a grant that was taken back stays so", plan, "if !sameGrant(now, p.old) {", "if false && !sameGrant(now, p.old) {", pkg + "TestGrantOfAnUpgrade"},
		{"history is asked again at the commit", plan, "if err := allowed(p.Admission, lock.Find(p.entry.Name), p.opt); err != nil {", "if err := allowed(p.Admission, nil, p.opt); err != nil {", pkg + "TestGrantOfAnUpgrade"},
		{"a removed skill is remembered", store, "Highest: e.Highest, Content: e.Content}", "Highest: \"0.0.0\"}", pkg + "TestHistory"},
		{"a grant waits for its version", store, "if lock, err := s.Lock(); err == nil && committed(next, name, lock) {", "if _, err := s.Lock(); err == nil {", pkg + "TestKilledInstallation"},
		{"a committed grant counts before it has its name", store, "\t\t\treturn next\n", "", pkg + "TestKilledInstallation"},
		{"the lock file comes after the files", store, "\ts.step(StepPlace)\n\tif err := s.place(staged.Dir, s.Dir(&e)); err != nil {", "\tif err := s.write(lock.with(e)); err != nil {\n\t\treturn err\n\t}\n\ts.step(StepPlace)\n\tif err := s.place(staged.Dir, s.Dir(&e)); err != nil {", pkg + "TestKilledInstallation"},
		{"a lock file is as it was written", lock, "if !bytes.Equal(again, data) {", "if false && !bytes.Equal(again, data) {", pkg + "TestLockFilesAreRefused"},
		{"a lock file names folders of the store", lock, "if _, err := abi.ParseDigest(string(d)); d != \"\" && err != nil {", "if _, err := abi.ParseDigest(string(d)); d == \"x\" && err != nil {", pkg + "TestLockFilesAreRefused"},
		{"a grant names its publisher", "abi/effective.go", "case g.Publisher != nil && !g.Publisher.admits(proof.Signer):", "case false:", "abi.TestPublisherOfAGrant"},
		{"an installed skill runs from the command line only if it would load", "cmd/glovebox/skill_run.go", "if t.named {", "if false && t.named {", "cmd/glovebox.TestStories"},
		{"an identity does not paint the terminal", "cmd/glovebox/skill_store.go", "oneLine(v.Admission.Signer.String())", "v.Admission.Signer", "cmd/glovebox.TestIdentityDoesNotPaintTheTerminal"},
		{"an empty publisher is nobody", "abi/grant_check.go", "p == Publisher(s) && p.Check() == nil", "p == Publisher(s)", "abi.TestPublisherOfAGrant"},
	}
}
