package main

// signatures are the controls between the bytes of a bundle and a publisher's name.
func signatures() []Control {
	const (
		verifier  = "skills/signature/verifier.go"
		statement = "skills/signature/statement.go"
		root      = "skills/signature/root.go"
		key       = "skills/signature/key.go"
		check     = "skills/signature/check.go"
		publisher = "skills/signature/publisher.go"
		service   = "skills/signature/service.go"
		origin    = "skills/signature/provenance.go"
		matrix    = "skills/signature.TestRefusalMatrix"
		says      = "skills/signature.TestStatementsThatDoNotSign"
		built     = "skills/signature.TestVerifierIsBuiltOrNot"
		whole     = "skills/signature.TestIdentityIsWhole"
		npm       = "skills/signature.TestProvenanceOfNPM"
	)
	return []Control{
		{"an attested SBOM does not sign", statement, "case PredicateSkill, PredicateCosign:\n\tdefault:", "default:\n\tcase \"\":", "skills/signature.TestCosignVectors"},
		{"the statement is about this digest alone", statement, "len(s.GetSubject()) != 1 || !reflect.DeepEqual", "false && !reflect.DeepEqual", says},
		{"the statement is about this skill", statement, "if f.Name != skill {", "if false {", says},
		{"signed facts have no other spelling", statement, "if !reflect.DeepEqual(m, again) {", "if false && !reflect.DeepEqual(m, again) {", says},
		{"signed facts are those of the manifest", statement, "if field == \"\" {\n\t\treturn nil\n\t}\n\treturn refuse(", "if true {\n\t\treturn nil\n\t}\n\treturn refuse(", "skills/signature.TestFactsOfAnotherManifest"},
		{"a publisher signs its own names", verifier, "return p.allows(skill) })", "return true })", says},
		{"a bundle is bounded", verifier, "if len(raw) > MaxBundle {", "if false {", "skills/signature.TestRefusalsOfBytes"},
		{"a statement has each field once", verifier, "if err := abi.CheckJSON(e.GetPayload(), abi.MaxJSONDepth); err != nil {", "if err := abi.CheckJSON(e.GetPayload(), abi.MaxJSONDepth); false && err != nil {", matrix},
		{"a message signature is no statement", verifier, "if b.GetDsseEnvelope() == nil {\n\t\treturn nil, refuse(", "if false {\n\t\treturn nil, refuse(", "skills/signature.TestCosignVectors"},
		{"a hint selects one pinned key", verifier, "k, ok := v.keys[hint]\n\tif !ok {", "k, ok := v.keys[hint]\n\tfor _, k = range v.keys {\n\t\tok = true\n\t}\n\tif !ok {", matrix},
		{"two publishers do not share a key", verifier, "if other, ok := v.keys[p.Key.Hint]; ok {", "if other, ok := v.keys[p.Key.Hint]; false && ok {", built},
		{"an identity hangs on a root of its class", verifier, "if !r.Class.keyless() {", "if false {", built},
		{"a window of a key wants a time", key, "if k.From.IsZero() && k.Until.IsZero() {\n\t\treturn PinnedPlain", "if true {\n\t\treturn PinnedPlain", matrix},
		{"only P-256 is pinned", key, "if public == nil || public.Curve != elliptic.P256() {", "if public == nil || public.Curve == elliptic.P224() {", "skills/signature.TestOnlyP256KeysAreRead"},
		{"nothing stands beside a key", key, "len(bytes.TrimSpace(before)) > 0 || len(bytes.TrimSpace(rest)) > 0", "len(before)+len(rest) < 0", "skills/signature.TestOnlyP256KeysAreRead"},
		{"a private class wants the log", root, "o = append(o, verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1))", "o = append(o, verify.WithSignedTimestamps(1))", matrix},
		{"a private class wants an authority's time", root, "verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1)", "verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)", matrix},
		{"a certificate is in the log that there is", root, "if a.sct {", "if false {", matrix},
		{"the public good has a certificate log", root, "need(\"certificate log\", len(m.CTLogs()))", "need(\"certificate log\", 1)", built},
		{"the zero class trusts nobody", root, "default:\n\t\treturn nil, fmt.Errorf(\"%w: %q\", errClass, string(c))", "default:\n\t\to = append(o, verify.WithNoObserverTimestamps())", "skills/signature.TestZeroClassIsRefused"},
		{"an identity's pattern is for the whole name", publisher, "pattern = `^(?:` + id.SANPattern + `)$`", "pattern = id.SANPattern", whole},
		{"an identity's pattern is read alone first", publisher, "if _, err := regexp.Compile(id.SANPattern); err != nil {", "if _, err := regexp.Compile(id.SANPattern); false && err != nil {", built},
		{"an identity has an issuer", publisher, "if id.Issuer == \"\" {", "if false {", built},
		{"a CI's repository is compared", publisher, "SourceRepositoryURI: id.SourceRepository, RunnerEnvironment", "RunnerEnvironment", whole},
		{"a key is no identity and the reverse", check, "if keyed == a.class.keyless() {", "if false {", "skills/signature.TestKindIsKnownBeforeTheSignature"},
		{"a token follows no redirect", service, "if resp.StatusCode >= 300 && resp.StatusCode < 400 {", "if false {", "skills/signature.TestTokenGoesToFulcioAlone"},
		{"services are reached by https", service, "if u.Scheme != \"https\" && !(u.Scheme == \"http\" && addr.IsLoopback()) {", "if false && addr.IsLoopback() {", "skills/signature.TestWhatIsNotSigned"},
		{"provenance is of that package", origin, "s[0].GetName() != want.PURL ||", "", npm},
		{"provenance names its repository exactly", origin, "repository = regexp.QuoteMeta(p.Repository)", "repository = p.Repository + \".*\"", "skills/signature.TestProvenanceNamesItsRepository"},
		{"this machine's key is never replaced", "skills/signature/trust.go", "err = os.Link(fresh, path)", "err = os.Rename(fresh, path)", "skills/signature.TestOwnKeyIsMadeOnce"},
	}
}
