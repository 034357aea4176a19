package registry

import (
	"crypto"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// top reads the newest root and targets.
func (m *Maker) top() (*metadata.Metadata[metadata.RootType], *targetsMetadata, error) {
	root, _, err := newest[metadata.RootType](m, metadata.ROOT)
	if err != nil {
		return nil, nil, err
	}
	targets, _, err := newest[metadata.TargetsType](m, metadata.TARGETS)
	if err == nil && (root == nil || targets == nil) {
		err = fmt.Errorf("the registry in %s has no root or no targets", m.cfg.Dir)
	}
	return root, targets, err
}

// delegation returns the role of a publisher; nil if the registry itself signs.
func delegation(targets *targetsMetadata, by Publisher) *metadata.DelegatedRole {
	if d := targets.Signed.Delegations; d != nil {
		for i := range d.Roles {
			if d.Roles[i].Name == string(by) {
				return &d.Roles[i]
			}
		}
	}
	return nil
}

// edit changes the targets of a publisher, or the registry's own, and publishes them.
func (m *Maker) edit(by Publisher, change func(*targetsMetadata) error) (Report, error) {
	root, targets, err := m.top()
	if err != nil {
		return Report{}, err
	}
	role, ids, meta := metadata.TARGETS, root.Signed.Roles[metadata.TARGETS].KeyIDs, targets
	if by != "" {
		d := delegation(targets, by)
		if d == nil {
			return Report{}, fmt.Errorf("publisher %s has no delegation here", by)
		}
		role, ids = d.Name, d.KeyIDs
		if meta, _, err = newest[metadata.TargetsType](m, role); err != nil {
			return Report{}, err
		}
		if meta == nil {
			meta = metadata.Targets()
		}
	}
	if err := change(meta); err != nil {
		if errors.Is(err, errSame) {
			return m.Sign()
		}
		return Report{}, err
	}
	if err := m.next(role, ids, meta); err != nil {
		return Report{}, err
	}
	return m.Sign()
}

// next writes meta as the next version of a role.
func (m *Maker) next(role string, ids []string, meta *targetsMetadata) error {
	list, err := m.versions(role)
	if err != nil {
		return err
	}
	meta.Signed.Version = 1
	if len(list) > 0 {
		meta.Signed.Version = list[0] + 1
	}
	meta.Signed.Expires = m.life(targetsLife)
	meta.Signatures = nil
	return save(m, role, ids, meta, meta.Signed.Version)
}

// errSame says that nothing has to change.
var errSame = errors.New("no change")

// signer is whose index an entry stands in: its publisher's, where that has a
// delegation, else the registry's own.
func (m *Maker) signer(id SkillID) (Publisher, error) {
	if err := id.Check(); err != nil {
		return "", err
	}
	_, targets, err := m.top()
	if err != nil || delegation(targets, id.Publisher()) == nil {
		return "", err
	}
	return id.Publisher(), nil
}

// AddSkill announces a version of a skill. artifact is the packed skill, which becomes
// the target e.Path; nil if e.OCI says where it is. A version is never replaced; the
// same one again changes nothing, so that an interrupted call can be repeated.
func (m *Maker) AddSkill(e Entry, artifact []byte) (Report, error) {
	if (artifact != nil) != (e.Path != "") {
		return Report{}, fmt.Errorf("%s: want a path together with the packed skill", e.Name)
	}
	by, err := m.signer(e.Name)
	if err != nil {
		return Report{}, err
	}
	return m.edit(by, func(meta *targetsMetadata) error {
		entries, err := m.getIndex(meta, by)
		if err != nil {
			return err
		}
		for _, old := range entries {
			if old.Name != e.Name || old.Version != e.Version {
				continue
			}
			if reflect.DeepEqual(old, e) {
				return errSame
			}
			return fmt.Errorf("%s %s is announced already, with other content; give it a new version", e.Name, e.Version)
		}
		if artifact != nil {
			if err := m.putTarget(meta, e.Path, artifact); err != nil {
				return err
			}
		}
		return m.putIndex(meta, by, append(entries, e))
	})
}

// Yank withdraws a version: it stays in the index, and nobody installs it any more.
func (m *Maker) Yank(id SkillID, version, reason string) (Report, error) {
	by, err := m.signer(id)
	if err != nil {
		return Report{}, err
	}
	return m.edit(by, func(meta *targetsMetadata) error {
		entries, err := m.getIndex(meta, by)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == id && e.Version == version })
		if i < 0 {
			return fmt.Errorf("%s %s is not in the index", id, version)
		}
		entries[i].Yanked = &Yank{reason, m.since()}
		return m.putIndex(meta, by, entries)
	})
}

// Put stores any other target of the registry's own, such as osv/npm.zip.
func (m *Maker) Put(path string, data []byte) (Report, error) {
	if path == indexFile || path == revocationsFile {
		return Report{}, fmt.Errorf("target %s is made by its own commands", path)
	}
	return m.edit("", func(meta *targetsMetadata) error { return m.putTarget(meta, path, data) })
}

func (m *Maker) since() Since { return Since{m.cfg.Now().UTC().Truncate(time.Second)} }

// Revoke says that a subject must not run any more; with lift, that it may again.
func (m *Maker) Revoke(s Subject, reason string, lift bool) (Report, error) {
	return m.edit("", func(meta *targetsMetadata) error {
		data, err := m.getTarget(meta, revocationsFile)
		if err != nil {
			return err
		}
		l := &revocations{Schema: 1, Revoked: []revocation{}}
		if data != nil {
			if l, err = decodeRevocations(data); err != nil {
				return err
			}
		}
		same := func(r revocation) bool { return r.public().id() == s.id() }
		if lift && !slices.ContainsFunc(l.Revoked, same) {
			return errors.New("it is not revoked")
		}
		l.Revoked, l.Lifted = slices.DeleteFunc(l.Revoked, same), slices.DeleteFunc(l.Lifted, same)
		r := revocation{s.Digest, s.Key, s.Identity, reason, m.since()}
		if lift {
			l.Lifted = append(l.Lifted, r)
		} else {
			l.Revoked = append(l.Revoked, r)
		}
		if data, err = encode(l); err != nil {
			return err
		}
		if _, err := decodeRevocations(data); err != nil { // what clients would refuse is not written
			return err
		}
		return m.putTarget(meta, revocationsFile, data)
	})
}

// Delegate lets the holders of keys, threshold of them together, sign for the skills
// by/…, and nobody else for these. Keys of an earlier delegation count no more.
func (m *Maker) Delegate(by Publisher, keys []crypto.PublicKey, threshold int) (Report, error) {
	if err := by.Check(); err != nil {
		return Report{}, err
	}
	if threshold < 1 || threshold > len(keys) {
		return Report{}, fmt.Errorf("threshold %d of %d keys", threshold, len(keys))
	}
	return m.edit("", func(meta *targetsMetadata) error {
		d := meta.Signed.Delegations
		if d == nil {
			d = &metadata.Delegations{Keys: map[string]*metadata.Key{}, Roles: []metadata.DelegatedRole{}}
			meta.Signed.Delegations = d
		}
		role := metadata.DelegatedRole{Name: string(by), Threshold: threshold, Terminating: true, Paths: []string{by.prefix() + "*"}}
		for _, k := range keys {
			key, id, err := tufKey(k)
			if err != nil {
				return err
			}
			if slices.Contains(role.KeyIDs, id) {
				return errors.New("one key is given twice")
			}
			role.KeyIDs = append(role.KeyIDs, id)
			d.Keys[id] = key
		}
		d.Roles = slices.DeleteFunc(d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == role.Name })
		d.Roles = append(d.Roles, role)
		if len(d.Roles) > MaxPublishers {
			return fmt.Errorf("more than %d publishers", MaxPublishers)
		}
		unused := func(id string, _ *metadata.Key) bool {
			return !slices.ContainsFunc(d.Roles, func(r metadata.DelegatedRole) bool { return slices.Contains(r.KeyIDs, id) })
		}
		for id, k := range d.Keys {
			if unused(id, k) {
				delete(d.Keys, id)
			}
		}
		return nil
	})
}

// Rotate takes the key of a top-level role away ("": its only one) and puts a new one,
// written to file in the key folder, in its place: the next root, signed by the
// threshold of root keys.
func (m *Maker) Rotate(role, oldID, file string) (Report, error) {
	root, version, err := newest[metadata.RootType](m, metadata.ROOT)
	if err != nil {
		return Report{}, err
	}
	if root == nil {
		return Report{}, fmt.Errorf("the registry in %s has no root", m.cfg.Dir)
	}
	if r := root.Signed.Roles[role]; r != nil && oldID == "" && len(r.KeyIDs) == 1 {
		oldID = r.KeyIDs[0]
	} else if r != nil && !slices.Contains(r.KeyIDs, oldID) {
		return Report{}, fmt.Errorf("which key of %s? It has %s", role, strings.Join(r.KeyIDs, ", "))
	}
	signers := slices.Clone(root.Signed.Roles[metadata.ROOT].KeyIDs)
	if err := root.Signed.RevokeKey(oldID, role); err != nil {
		return Report{}, err
	}
	key, err := NewKey(filepath.Join(m.cfg.Keys, file))
	if err != nil {
		return Report{}, err
	}
	public, id, err := tufKey(key.Public())
	if err != nil {
		return Report{}, err
	}
	if err := errors.Join(m.keys.add(key), root.Signed.AddKey(public, role)); err != nil {
		return Report{}, err
	}
	if err := m.nextRoot(root, version, append(signers, id)); err != nil {
		return Report{}, err
	}
	return m.Sign()
}
