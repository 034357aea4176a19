package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/agent/offline"
	"github.com/glovebox-dev/glovebox/host/agent/scripted"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/memory"
	"github.com/glovebox-dev/glovebox/host/provenance"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/internal/guard"
	"github.com/glovebox-dev/glovebox/internal/leaks"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// Bounds of a graceful end: of the requests in flight, then of everything else.
const (
	drainTime = 2 * time.Second
	closeTime = 5 * time.Second
)

// idleTime is how long after the last message memory goes back to the system: a Go
// guest leaves tens of megabytes of garbage behind.
const idleTime = 3 * time.Second

// maxChats bounds the messages that are handled or wait at once.
const maxChats = 64

// Config is what a Host is made of.
type Config struct {
	State    *config.State
	Settings config.Config
	Skills   []string // more folders of skills, searched first
	Grants   []string // more folders of grants, searched after the state's own
	Version  string
	Log      slog.Handler // nil discards; known secrets are taken out of every record

	model func(config.Agent) (agent.Model, error) // of a test; nil = newModel
	now   func() time.Time                        // of a test, for budgets; nil = time.Now
	rows  openMemory                              // of a test; nil = memory.Open
}

// ErrNoSkill is returned for a name that no installed skill has.
var ErrNoSkill = errors.New("no skill of that name is installed")

// Host is one daemon. New opens it, Start takes the address, Run serves, Close ends it.
type Host struct {
	state   *config.State
	version string
	started time.Time
	log     *slog.Logger

	chamber   *Chamber
	audit     *audit.Log
	ledger    *ledger
	guard     *guard.Guard   // of what leaves
	leaks     *leaks.Scanner // of what persons write
	approvals *approvals
	budgets   *budgets
	memories  *memories
	surveyor
	egress     *openOrigins
	agents     map[string]*agent.Agent
	provenance map[abi.AgentID]*provenance.Store // of sessions and files
	server     *admin.Server
	release    func() error // of the lock on the state folder
	chats      chan struct{}
	stop       chan struct{} // closed by Stop
	stopOnce   sync.Once
	idle       *time.Timer

	looking sync.Mutex // one look at the skills at a time: the second finds what the first read

	mu       sync.Mutex // guards what follows
	world    *world
	running  map[*run]bool     // calls of skills
	verdicts map[string]string // by folder: what the audit log knows of it
}

// New locks the state folder and opens everything in it. It starts no guest, no
// process and no listener, and looks at no skill: that is for Run and for the first
// message. On an error nothing stays open.
func New(ctx context.Context, cfg Config) (_ *Host, err error) {
	h := &Host{
		state: cfg.State, version: cfg.Version, started: time.Now(),
		egress: &openOrigins{state: cfg.State}, agents: map[string]*agent.Agent{}, provenance: map[abi.AgentID]*provenance.Store{},
		chats: make(chan struct{}, maxChats), stop: make(chan struct{}),
	}
	if cfg.Log == nil {
		cfg.Log = slog.DiscardHandler
	}
	if cfg.model == nil {
		cfg.model = newModel
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.rows == nil {
		cfg.rows = memory.Open
	}
	secrets := &knownSecrets{}
	h.leaks = leaks.New()
	h.log = slog.New(redact.Handler(leaks.Handler(cfg.Log, h.leaks), secrets.matcher))
	if h.release, err = cfg.State.Lock(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	h.idle = time.AfterFunc(idleTime, debug.FreeOSMemory)
	h.surveyor = newSurveyor(cfg, h.log, h.policy)
	if h.audit, err = audit.Open(ctx, audit.Config{Path: cfg.State.Audit(), KeyPath: cfg.State.Key("audit"), Redactor: redactor{secrets, h.leaks}, Log: h.log}); err != nil {
		return nil, err
	}
	h.ledger = newLedger(h.audit)
	h.guard = guard.New(secrets.matcher, h.met)
	h.guard.KeepIn(guardKeeper(h.provenance))
	if _, err := h.ledger.Append(ctx, audit.Entry{Event: "host.started", Actor: "host", Durable: true, Detail: map[string]string{"version": cfg.Version}}); err != nil {
		return nil, err
	}
	if err := h.audit.Checkpoint(ctx); err != nil { // from here on the log can be verified
		return nil, err
	}
	h.approvals, err = openApprovals(ctx, cfg.State.Approvals(), h.ledger, time.Duration(cfg.Settings.Approvals.Timeout), secrets.Redact)
	if err != nil {
		return nil, err
	}
	h.budgets, err = openBudgets(ctx, cfg.State.Budget(), cfg.Settings.Agents, h.ledger, h.log, cfg.now)
	if err != nil {
		return nil, err
	}
	h.memories, err = openMemories(ctx, cfg.rows, cfg.State, cfg.Settings.Agents, h.guard, h.ledger, h.log)
	if err != nil {
		return nil, err
	}
	h.approvals.about = h.memories.about
	h.chamber, err = OpenChamber(ctx, ChamberConfig{
		State: cfg.State, Private: h.private, Listeners: h.listeners, Egress: observer{h.ledger, h.log}, Version: cfg.Version, Log: h.log,
	})
	if err != nil {
		return nil, err
	}
	secrets.set(h.chamber.Vault.Matcher)
	h.refresh(ctx)
	door, err := h.door(nil) // without skills: each message brings the door of its moment
	if err != nil {
		return nil, err
	}
	for _, a := range cfg.Settings.Agents {
		if err := h.addAgent(ctx, a, door, cfg.model); err != nil {
			return nil, fmt.Errorf("agent %s: %w", a.Name, err)
		}
	}
	return h, nil
}

func (c Config) skillDirs() []string {
	return unique(slices.Concat(c.Skills, c.Settings.Skills.Dirs, []string{c.State.Skills()}))
}

// unique keeps the first of equal folders, in order.
func unique(dirs []string) []string {
	var kept []string
	for _, d := range dirs {
		if d = filepath.Clean(d); !slices.Contains(kept, d) {
			kept = append(kept, d)
		}
	}
	return kept
}

// grantDirs has the state's own folder first: there the command line writes.
func (c Config) grantDirs() []string {
	dirs := append([]string{c.State.Grants()}, c.Grants...)
	if c.Settings.Grants.Dir != "" {
		dirs = append(dirs, c.Settings.Grants.Dir)
	}
	return unique(dirs)
}

func (c Config) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(c.Log)
}

func (h *Host) addAgent(ctx context.Context, a config.Agent, door *agent.Dispatcher, newModel func(config.Agent) (agent.Model, error)) error {
	dir, err := h.state.AgentDir(a.Name)
	if err != nil {
		return err
	}
	if h.provenance[abi.AgentID(a.Name)], err = provenance.Open(ctx, filepath.Join(dir, "agent.db")); err != nil {
		delete(h.provenance, abi.AgentID(a.Name))
		return err
	}
	marked, err := h.provenance[abi.AgentID(a.Name)].Marked(ctx)
	if err != nil {
		return err
	}
	for _, session := range marked {
		h.guard.Load(abi.AgentID(a.Name), session)
	}
	model, err := newModel(a)
	if err != nil {
		return err
	}
	var persona agent.OperatorText // the configuration is the operator's text
	if err := persona.UnmarshalText([]byte(a.Persona)); err != nil {
		return fmt.Errorf("persona: %w", err)
	}
	h.agents[string(a.Name)], err = agent.New(agent.Options{
		ID: abi.AgentID(a.Name), Model: meteredModel{model, abi.AgentID(a.Name), h.budgets}, Dispatcher: door, System: agent.NewSystem(persona),
		Start: startOf(a), Sessions: h.provenance[abi.AgentID(a.Name)],
	})
	return err
}

func newModel(a config.Agent) (agent.Model, error) {
	switch a.Model {
	case config.ModelOffline:
		return &offline.Model{}, nil
	case config.ModelScripted:
		data, err := config.ReadOwned(a.Script, abi.MiB)
		if err != nil {
			return nil, fmt.Errorf("script: %w", err)
		}
		return scripted.Parse(data)
	}
	return nil, fmt.Errorf("model %q is not known", a.Model)
}

// services are the parts of the host that act for guests of the agent id.
func (h *Host) services(id abi.AgentID) wasm.Services {
	s := wasm.Services{
		Fetch: meteredFetch{h.chamber.Broker, h.budgets}, KV: h.chamber.KV, Ask: meteredAsk{h.approvals, h.budgets}, Secrets: h.chamber.Broker, Observer: observer{h.ledger, h.log},
	}
	if kept := h.provenance[id]; kept != nil {
		s.Labels = kept
	}
	return guarded(h.guard, s)
}

// listeners are addresses that no skill reaches, whatever the operator opened.
func (h *Host) listeners() []netip.AddrPort {
	if h.server == nil {
		return nil
	}
	ap, err := netip.ParseAddrPort(strings.TrimPrefix(h.server.Address(), "http://"))
	if err != nil {
		return nil
	}
	return []netip.AddrPort{ap}
}

// Start takes the address. Requests are answered from Run on.
func (h *Host) Start(ctx context.Context, listen string) error {
	token, _, err := h.state.Token()
	if err != nil {
		return err
	}
	approve, _, err := h.state.ApprovalToken()
	if err != nil {
		return err
	}
	h.server, err = admin.Listen(ctx, admin.Config{Listen: listen, Token: token, Approve: approve, Backend: h, Redact: h.guard.RedactJSON, Log: h.log})
	return err
}

// Address returns http://HOST:PORT, once Start has returned.
func (h *Host) Address() string { return h.server.Address() }

// Run publishes the address, calls ready, serves until ctx ends or Stop is called,
// and lets the requests in flight end.
func (h *Host) Run(ctx context.Context, ready func()) error {
	served := make(chan error, 1)
	go func() { served <- h.server.Serve() }()
	info := config.Info{
		PID: os.Getpid(), Address: h.Address(), Version: h.version, Started: h.started.UTC(),
		Config: h.settings.File, Skills: h.catalog.dirs, Grants: h.grants.dirs,
	}
	err := h.state.Publish(info)
	ctx, cancel := context.WithCancel(ctx)
	var warm sync.WaitGroup
	if err == nil {
		ready()
		warm.Go(func() { h.prewarm(ctx) })
		warm.Go(func() { h.watch(ctx) })
		warm.Go(func() { h.keepCurrent(ctx) })
		select {
		case err = <-served:
			served <- nil
		case <-ctx.Done():
		case <-h.stop:
		}
	}
	h.log.Info("stopping")
	cancel()
	err = errors.Join(err, h.state.Withdraw())
	end, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer done()
	err = errors.Join(err, h.server.Shutdown(end), <-served)
	warm.Wait()
	return err
}

// Stop asks Run to end.
func (h *Host) Stop(context.Context) error {
	h.stopOnce.Do(func() { close(h.stop) })
	return nil
}

// prewarm looks at the skills, and judges and compiles the modules that are not in the
// cache yet, one after the other, so that the first message waits for neither. It reads
// no module that is there: those are judged when they are loaded.
func (h *Host) prewarm(ctx context.Context) {
	w, err := h.current(ctx)
	if err != nil {
		h.log.Error("skills cannot be looked at", "err", err)
		return
	}
	for _, s := range w.skills {
		if s.State != skillReady || ctx.Err() != nil {
			continue
		}
		rights, err := h.rights(s.Bundle, s.Admission.Proof(), s.Agents[0])
		if err == nil {
			err = h.chamber.Prepare(ctx, (&skillTool{host: h, bundle: s.Bundle, artifact: s.Artifact}).source(ctx), rights.Limits)
		}
		if err != nil && ctx.Err() == nil {
			h.log.Warn("skill cannot be loaded", "skill", s.Bundle.Name(), "err", err)
		}
	}
}

// Close flushes and releases everything, in the reverse order of New.
func (h *Host) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var all error
	if h.idle != nil {
		h.idle.Stop()
	}
	if h.chamber != nil {
		all = errors.Join(all, h.chamber.Close(ctx))
	}
	if h.trust != nil {
		all = errors.Join(all, h.trust.Close())
	}
	if h.approvals != nil && h.approvals.store != nil {
		all = errors.Join(all, h.approvals.store.Close())
	}
	if h.memories != nil {
		all = errors.Join(all, h.memories.Close())
	}
	if h.budgets != nil {
		all = errors.Join(all, h.budgets.Close())
	}
	if h.guard != nil {
		all = errors.Join(all, h.guard.SaveAll(ctx))
	}
	for _, s := range h.provenance {
		all = errors.Join(all, s.Close())
	}
	if h.audit != nil {
		all = errors.Join(all, h.audit.Close())
	}
	if h.release != nil {
		all = errors.Join(all, h.release())
	}
	return all
}

// Warnings lists what works but is weaker than it could be.
func (h *Host) Warnings() []string {
	var w []string
	if st := h.chamber.Confinement(); !st.Bwrap {
		w = append(w, fmt.Sprintf("modules are compiled under resource limits alone, without bubblewrap: %s; %s", st.Why, st.Fix))
	}
	if os.Geteuid() == 0 {
		w = append(w, "the daemon runs as root: run it as a user of its own, it needs no privilege")
	}
	if open := h.opened(); len(open) > 0 {
		w = append(w, fmt.Sprintf("%d private origins are open to skills; glovebox egress list", len(open)))
	}
	if _, err := h.egress.origins(); err != nil {
		w = append(w, "private origins are closed: "+err.Error())
	}
	for _, a := range h.settings.Agents {
		if a.Model == config.ModelScripted {
			w = append(w, fmt.Sprintf("agent %s follows the script %s", a.Name, filepath.Base(a.Script)))
		}
	}
	if why := h.memories.missing; why != nil {
		w = append(w, "agents have no memory: "+why.Error())
	}
	return slices.Concat(w, h.trustWarnings(), h.idleRules(), h.markedWarnings(), h.budgets.warnings())
}

// idleRules names the rules about approvals that match nothing.
func (h *Host) idleRules() []string {
	h.mu.Lock()
	w := h.world
	h.mu.Unlock()
	if w == nil {
		return nil
	}
	var tools []abi.ToolRef
	for _, s := range w.skills {
		if s.State != skillRefused {
			for _, spec := range specs(s.Bundle) {
				tools = append(tools, spec.Ref)
			}
		}
	}
	return idleRules(h.settings.Approvals, tools)
}

// knownSecrets is what must not be shown, once the vault is open.
type knownSecrets struct {
	mu     sync.Mutex // guards source
	source redact.Source
}

func (k *knownSecrets) set(s redact.Source) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.source = s
}

func (k *knownSecrets) matcher() *redact.Matcher {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.source == nil {
		return nil
	}
	return k.source()
}

// Redact implements audit.Redactor.
func (k *knownSecrets) Redact(text string) string { return k.matcher().RedactString(text) }
