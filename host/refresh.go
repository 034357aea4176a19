package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/skills/registry"
)

// refreshTime bounds the refresh of one registry with all of its mirrors.
const refreshTime = 5 * time.Minute

// keepCurrent refreshes the registries again and again, if the operator configured
// that. The first time is after one interval: a start uses no network.
func (h *Host) keepCurrent(ctx context.Context) {
	every := time.Duration(h.settings.Trust.Refresh)
	for every > 0 {
		wait := time.NewTimer(jitter(every))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if err := h.refreshRegistries(ctx); err != nil && ctx.Err() == nil {
			h.log.Error("registries cannot be refreshed", "err", err)
		}
	}
}

// jitter is d, give or take a tenth, so that daemons do not ask all at once.
func jitter(d time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d/5)+1))
	if err != nil {
		return d
	}
	return d - d/10 + time.Duration(n.Int64())
}

// refreshRegistries fetches what is current, as "glovebox registry refresh" does; what
// it finds withdrawn is stopped by whoever watches the database.
func (h *Host) refreshRegistries(ctx context.Context) (err error) {
	if statOf(h.state.Registries()) == nil {
		return nil
	}
	c, err := registry.Open(ctx, registry.Config{
		DB: h.state.Registries(), Dir: h.state.RegistryCache(), Log: h.log,
		HTTP: func(source abi.Origin) (registry.Doer, error) {
			return broker.OperatorClient(broker.OperatorConfig{Origins: []abi.Origin{source}, Listeners: h.listeners})
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	list, err := c.List(ctx)
	if err != nil {
		return err
	}
	for _, st := range list {
		h.refreshOne(ctx, c, st.Name)
	}
	return nil
}

func (h *Host) refreshOne(ctx context.Context, c *registry.Client, name registry.Name) {
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	e := audit.Entry{Event: "registry.refreshed", Actor: "host", Verdict: "allow", Durable: true, Detail: map[string]string{"registry": string(name)}}
	st, err := c.Refresh(ctx, name)
	if err != nil {
		var why *registry.Refusal
		if errors.As(err, &why) {
			e.Rule = string(why.Reason)
		}
		e.Verdict, e.Outcome, e.Detail["why"] = "deny", "failed", err.Error()
		h.log.Warn("a registry cannot be refreshed", "registry", name, "err", err)
	} else {
		e.Detail["expires"], e.Detail["revoked"] = st.Expires.Format(time.RFC3339), fmt.Sprint(st.Revoked)
	}
	observer{h.ledger, h.log}.append(context.WithoutCancel(ctx), e)
}

// outdated says of which registries it is not known what they withdrew lately: their
// index has expired, or cannot be used for another reason. What was installed from them
// goes on, unless trust.current says otherwise.
func (t *trust) outdated(ctx context.Context) error {
	if !t.client.ok {
		return t.client.err
	}
	list, err := t.client.open.List(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, st := range list {
		if st.Problem != nil {
			all = append(all, fmt.Errorf("registry %s: %s (%s)", st.Name, st.Problem.What, st.Problem.Reason))
		}
	}
	return errors.Join(all...)
}

// warning is outdated for people, "" if there is nothing to say.
func (t *trust) warning(ctx context.Context) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.outdated(ctx); err != nil {
		return "it is not known what was withdrawn lately, and skills that are installed go on: " + err.Error() + "; glovebox registry refresh, or trust.refresh in the configuration"
	}
	return ""
}

// lost reports a database of registries that is gone although this machine saw one:
// what it held withdrawn is gone with it.
func lost(db, cache string) error {
	if statOf(db) != nil {
		return nil
	}
	seen, err := filepath.Glob(filepath.Join(cache, "*", "seen.json"))
	if err == nil && len(seen) > 0 {
		err = fmt.Errorf("%s is gone, with what registry %s had withdrawn; add it again (glovebox registry add), or remove %s: %w",
			db, filepath.Base(filepath.Dir(seen[0])), filepath.Dir(seen[0]), fs.ErrNotExist)
	}
	return err
}
