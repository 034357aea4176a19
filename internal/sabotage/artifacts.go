package main

// artifacts are the controls between a registry, a file or a server and a skill's folder.
func artifacts() []Control {
	const (
		pkg      = "skills/artifact/"
		pull     = pkg + "pull.go"
		referrer = pkg + "referrer.go"
		tarFile  = pkg + "tar.go"
		names    = pkg + "names.go"
		operator = "broker/operator_client.go"
	)
	return []Control{
		{"an artifact is what its pin says", pull, "if r.Digest != \"\" && abi.Digest(d.Digest) != r.Digest {", "if false {", "skills/artifact.TestTagIsResolvedOnce"},
		{"fetched bytes are hashed", pull, "if got := digest.FromBytes(data); got != d.Digest {", "if got := digest.FromBytes(data); false && got != d.Digest {", "skills/artifact.TestHostileRegistries"},
		{"a descriptor's size is bounded before it is fetched", pull, "if d.Size < 0 || d.Size > limit {", "if d.Size < 0 {", "skills/artifact.TestJunkReferrers"},
		{"a body ends where it was to end", pull, "io.LimitReader(rc, limit+1)", "io.LimitReader(rc, limit)", "skills/artifact.TestHostileRegistries"},
		{"an image manifest is made again and compared", pull, "if !bytes.Equal(a.Manifest, raw) {", "if false {", "skills/artifact.TestHostileManifests"},
		{"only an image manifest is read", pull, "if d.MediaType != MediaManifest {", "if false {", "skills/artifact.TestHostileRegistries"},
		{"no signature is a refusal", pull, "if len(p.Signatures) == 0 {", "if false {", "skills/artifact.TestDeletedFallbackTagIsNoDowngrade"},
		{"a module of another host is for the asking", pull, "case !o.Foreign:", "case false:", "skills/artifact.TestForeignLayouts"},
		{"components are not loaded", pull, "if config.OS != \"wasip1\" {", "if false {", "skills/artifact.TestForeignLayouts"},
		{"archives in a layer are not read", pkg + "shape.go", "\tcase packed:", "\tcase false:", "skills/artifact.TestHostileManifests"},
		{"an encoding that nobody asked for is refused", pkg + "layout.go", "case resp.Header.Get(\"Content-Encoding\") != \"\":", "case false:", "skills/artifact.TestHostileRegistries"},
		{"a signature is about this artifact", referrer, "case m.Subject == nil || m.Subject.Digest != subject:", "case false:", "skills/artifact.TestJunkReferrers"},
		{"a referrer holds one bundle", referrer, "case len(m.Layers) != 1 || m.Layers[0].MediaType != MediaSignature:", "case false:", "skills/artifact.TestJunkReferrers"},
		{"candidates for a signature are counted", referrer, "if i == MaxCandidates {", "if i == 1<<20 {", "skills/artifact.TestSeventeenJunkReferrers"},
		{"the signature that an index names is not searched for", referrer, "if o.Signature != \"\" {", "if false {", "skills/artifact.TestSeventeenJunkReferrers"},
		{"a layout in a folder has no links out of it", pkg + "layout.go", "info, err := root.Stat(filepath.FromSlash(name))", "return os.Open(filepath.Join(dir, name))\n\t\tinfo, err := root.Stat(filepath.FromSlash(name))", "skills/artifact.TestHostileFolders"},
		{"entries of an index are counted", pkg + "layout.go", "if len(index.Manifests) > maxEntries {\n\t\treturn refuse(ReasonSize, \"%s has", "if false {\n\t\treturn refuse(ReasonSize, \"%s has", "skills/artifact.TestHostileFolders"},
		{"a tag is not moved", pkg + "publish.go", "if d.Digest != entries[0].Digest && !o.Move {", "if false {", "skills/artifact.TestFolderKeepsWhatItHas"},
		{"publishers wait for each other", pkg + "lock_unix.go", "if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {", "if err := error(nil); err != nil || syscall.LOCK_EX == 0 {", "skills/artifact.TestPublishersToOneFolderWaitForEachOther"},
		{"the single file is made again and compared", tarFile, "if string(got.Sum(nil)) != string(want.Sum(nil)) {", "if false {", "skills/artifact.TestHostileTars"},
		{"only plain files come out of a tar", tarFile, "case h.Typeflag != tar.TypeReg || h.Linkname != \"\":", "case false:", "skills/artifact.TestHostileTars"},
		{"only USTAR headers are read", tarFile, "case h.Format != tar.FormatUSTAR || len(h.PAXRecords) > 0:", "case false:", "skills/artifact.TestHostileTars"},
		{"entries have a place in the layout", tarFile, "case !entryName.MatchString(h.Name):", "case false:", "skills/artifact.TestHostileTars"},
		{"no entry of a tar is there twice", tarFile, "\tcase twice:", "\tcase twice && false:", "skills/artifact.TestHostileTars"},
		{"entries of a tar are counted", tarFile, "case len(seen) == maxTarEntries:", "case false:", "skills/artifact.TestHostileTars"},
		{"an entry is bounded before it is read", tarFile, "case h.Size > left || h.Size > skills.MaxModule:", "case h.Size > left<<20 && h.Size > skills.MaxModule:", "skills/artifact.TestHostileTars"},
		{"a tar is bounded as a whole", tarFile, "left: maxTar}", "left: 3 * maxTar}", "skills/artifact.TestEndlessTarIsBounded"},
		{"names that differ in case are one", names, "if other, ok := seen[key]; ok {", "if other, ok := seen[key]; false && ok {", "skills/artifact.TestManifestRefusesALyingList"},
		{"a file is no folder", names, "if other := seen[dir]; other != \"\" {", "if other := seen[dir]; false && other != \"\" {", "skills/artifact.TestManifestRefusesALyingList"},
		{"the names of manifest and signature are taken", names, "case fold(name) == fold(SignatureFile), listed && fold(name) == fold(skills.ManifestFile):", "case false:", "skills/artifact.TestManifestRefusesALyingList"},
		{"all files together are bounded", names, "total > MaxTotal {", "total > 1<<60 {", "skills/artifact.TestManifestRefusesALyingList"},
		{"files are hashed when the manifest is made", "skills/bundle.go", "if !blob.Is(want) {", "if false && !blob.Is(want) {", "skills/artifact.TestManifestRefusesAFileThatChanged"},
		{"a folder appears whole", pkg + "extract.go", "temp, err := os.MkdirTemp(filepath.Dir(dir), \".\"+filepath.Base(dir)+\"-*\")", "temp, err := dir, os.Mkdir(dir, 0o755)", "skills/artifact.TestKilledWriterLeavesNothingHalf"},
		{"a login is for its registry", operator, "!slices.Contains(o.named, u.Origin):", "false:", "broker.TestOperatorClientRefuses"},
		{"a redirect takes credentials away", operator, "req.Header = crossOrigin(req.Header)", "_ = crossOrigin(req.Header)", "broker.TestOperatorClientRedirectsTakeCredentialsAway"},
		{"a redirect does not open what the operator opened", operator, "if originOf(at.Response.Request) != to {", "if false {", "broker.TestOperatorClientRefuses"},
		{"a redirect carries no body elsewhere", operator, "if req.Body != nil && req.Body != http.NoBody {", "if false {", "broker.TestOperatorClientRefuses"},
		{"the operator's requests go over https", operator, "case u.Scheme != \"https\" && !(loopback && opened):", "case loopback && false:", "broker.TestOperatorClientRefuses"},
		{"a name of this network needs the operator", operator, "case localName(u.Host) && !opened:", "case false:", "broker.TestOperatorClientRefuses"},
	}
}
