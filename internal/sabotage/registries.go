package main

// registries are the controls between a mirror and the list of what may be installed.
func registries() []Control {
	const (
		walk   = "skills/registry/walk.go"
		client = "skills/registry/client.go"
		query  = "skills/registry/query.go"
		store  = "skills/registry/store.go"
		index  = "skills/registry/index.go"
		maker  = "skills/registry/maker_sign.go"
	)
	return []Control{
		{"an older version is refused", walk, "have := w.held.seen[role]; version < have {", "have := w.held.seen[role]; false && version < have {", "skills/registry.TestRollback"},
		{"versions survive a wiped cache", store, "SELECT role, version FROM seen WHERE root_id = ?", "SELECT role, version FROM seen WHERE role = ?", "skills/registry.TestRollback"},
		{"a database put back is not believed", query, "\tif ahead != nil {\n\t\treturn nil, named", "\tif ahead != nil && false {\n\t\treturn nil, named", "skills/registry.TestRestoredDatabase"},
		{"what this machine saw counts after a restore", client, "seen, next.generation = ahead.merge(seen), ahead.Generation", "next.generation = ahead.Generation", "skills/registry.TestRestoredDatabase"},
		{"versions start anew with new keys only", walk, "return slices.ContainsFunc(old.KeyIDs, func(id string) bool { return !slices.Contains(next.KeyIDs, id) })", "return false && old != next", "skills/registry.TestFastForward"},
		{"the stored set is verified again", query, "s, err := verify(ctx, files, h, c.cfg.Now().Add(-r.maxAge))", "s, err := verify(ctx, files, held{root: h.root}, c.cfg.Now().Add(-r.maxAge))", "skills/registry.TestStoredSetIsVerifiedAgain"},
		{"expired metadata is refused", walk, "meta.RefTime = ref", "meta.RefTime = ref.Add(-1000 * time.Hour)", "skills/registry.TestAttacks"},
		{"expiry is judged at each use", query, "|| !ref.Before(have.set.until) {", "|| ref.IsZero() {", "skills/registry.TestOffline"},
		{"a clock that goes back proves nothing", query, "if now.Before(r.refreshed.Add(-clockSlack)) {", "if false && now.Before(r.refreshed.Add(-clockSlack)) {", "skills/registry.TestClock"},
		{"the grace period is bounded", client, "next, held{next.root, seen}, now.Add(-next.maxAge))", "next, held{next.root, seen}, now.Add(-100*next.maxAge))", "skills/registry.TestMaxAge"},
		{"the grace period is never silent", query, "if now.After(have.set.expires) {", "if false && now.After(have.set.expires) {", "skills/registry.TestExpiredUseIsLogged"},
		{"a target has the bytes that are signed for", walk, "if err := want.VerifyLengthHashes(data); err != nil {", "if err := want.VerifyLengthHashes(data); false && err != nil {", "skills/registry.TestAttacks"},
		{"a fetched target is compared", query, "\t\tif err == nil {\n\t\t\terr = want.VerifyLengthHashes(data)\n\t\t}", "", "skills/registry.TestTarget"},
		{"a cached target is compared", query, "err == nil && want.VerifyLengthHashes(data) == nil {", "err == nil {", "skills/registry.TestTarget"},
		{"a source cannot send for ever", "skills/registry/source.go", "if int64(len(data)) > most {\n\t\treturn nil, refuse(Size, \"%s has more than the %d bytes that are allowed\", name, most)\n\t}\n\treturn data, nil\n}\n\n// Get implements Source.\nfunc (s stored)", "return data, nil\n}\n\n// Get implements Source.\nfunc (s stored)", "skills/registry.TestAttacks"},
		{"one walk sees one tag", "skills/registry/source_oci.go", "if o.manifest != nil {", "if false && o.manifest != nil {", "skills/registry.TestOCISource"},
		{"plain http is for loopback addresses", "skills/registry/source.go", "if base.Scheme == \"http\" && (notAddr != nil || !addr.IsLoopback()) {", "if false && (notAddr != nil || !addr.IsLoopback()) {", "skills/registry.TestSources"},
		{"a folder is not left by a link", "skills/registry/source.go", "root, err := os.OpenRoot(string(f))\n", "root, err := os.OpenRoot(string(f))\n\tif info, err := os.Stat(filepath.Join(string(f), name)); err == nil && info.Mode().IsRegular() {\n\t\treturn os.ReadFile(filepath.Join(string(f), name))\n\t}\n", "skills/registry.TestFolderSource"},
		{"signed metadata cannot stop the daemon", walk, "if p := recover(); p != nil {", "if p := error(nil); p != nil {", "skills/registry.TestStolenKeys"},
		{"metadata says each key once", walk, "if err := abi.CheckJSON(data, maxDepth); err != nil {", "if err := abi.CheckJSON(data, maxDepth); false && err != nil {", "skills/registry.TestAttacks"},
		{"a publisher stays in its own space", index, "if by != \"\" && e.Name.Publisher() != by {", "if false && e.Name.Publisher() != by {", "skills/registry.TestPublisherStaysInItsOwnSpace"},
		{"a publisher's artifacts are its own", index, "if !strings.HasPrefix(e.Path, by.prefix()) {", "if false && !strings.HasPrefix(e.Path, by.prefix()) {", "skills/registry.TestPublisherStaysInItsOwnSpace"},
		{"a publisher that is lost takes nobody with it", walk, "\t\t\twhy := classify(role.Name, err)", "\t\t\treturn err\n\t\t\twhy := classify(role.Name, err)", "skills/registry.TestPublisherStaysInItsOwnSpace"},
		{"an index has no unknown field", "skills/registry/strict.go", "if !known[key] {", "if false && !known[key] {", "skills/registry.TestDecodeIndexRefuses"},
		{"a name and version stand in an index once", index, "; seen[id] {\n\t\t\treturn nil, fmt.Errorf(\"decode index: %s %s is there twice\"", "; false && seen[id] {\n\t\t\treturn nil, fmt.Errorf(\"decode index: %s %s is there twice\"", "skills/registry.TestIndexBounds"},
		{"an index has a size", index, "if len(x.Skills) > MaxEntries {", "if false && len(x.Skills) > MaxEntries {", "skills/registry.TestIndexBounds"},
		{"the signed manifest counts, not the index", index, "case !maps.EqualFunc(CapabilitiesOf(m.Needs), e.Capabilities, slices.Equal):", "case false && !maps.EqualFunc(CapabilitiesOf(m.Needs), e.Capabilities, slices.Equal):", "skills/registry.TestSignedManifestCounts"},
		{"silence lifts no revocation", store, "\tfor lifted, list := range", "\tif _, err := tx.ExecContext(ctx, `DELETE FROM revocation`); err != nil {\n\t\treturn err\n\t}\n\tfor lifted, list := range", "skills/registry.TestRevocations"},
		{"a state is saved whole", store, "\tif s.rotated {\n", "\tif _, err := tx.ExecContext(ctx, `COMMIT; BEGIN`); err != nil {\n\t\treturn err\n\t}\n\tif s.rotated {\n", "skills/registry.TestKilledClient"},
		{"a root is not published before it is signed", maker, "if err := errors.Join(old.VerifyDelegate(metadata.ROOT, root), root.VerifyDelegate(metadata.ROOT, root)); err != nil {", "if err := errors.Join(old.VerifyDelegate(metadata.ROOT, root), root.VerifyDelegate(metadata.ROOT, root)); false && err != nil {", "skills/registry.TestRootThreshold"},
		{"nothing is published without the online keys", maker, "root.VerifyDelegate(metadata.TIMESTAMP, next)); err != nil {", "root.VerifyDelegate(metadata.TIMESTAMP, next)); false && err != nil {", "skills/registry.TestTimestampIsWrittenLast"},
		{"a registry's key is private", "skills/registry/keys.go", "if info.Mode().Perm()&0o077 != 0 {", "if false && info.Mode().Perm()&0o077 != 0 {", "skills/registry.TestKeysAreStrong"},
	}
}
