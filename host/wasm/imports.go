package wasm

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

const namespaceWASI = "wasi_snapshot_preview1"

// known gives every function that this host offers, by namespace.
func known() map[string]map[string]hostFunc {
	return map[string]map[string]hostFunc{
		abi.NamespaceEnv:  envFuncs(),
		abi.NamespaceUser: userFuncs(),
		abi.NamespaceHost: hostFuncs(),
		namespaceWASI:     wasiFuncs(),
	}
}

// link defines in rt a host function of exactly the imported type for each import of
// the module, so that every module loads and can be looked at. What this host does
// not offer traps when it is called.
func link(ctx context.Context, rt wazero.Runtime, m wazero.CompiledModule) error {
	offered := known()
	builders := map[string]wazero.HostModuleBuilder{}
	done := map[[2]string]bool{}
	var order []string
	for _, def := range m.ImportedFunctions() {
		namespace, name, _ := def.Import()
		if done[[2]string{namespace, name}] {
			continue // a second import of another type does not link
		}
		done[[2]string{namespace, name}] = true
		b := builders[namespace]
		if b == nil {
			b = rt.NewHostModuleBuilder(namespace)
			builders[namespace] = b
			order = append(order, namespace)
		}
		f, ok := offered[namespace][name]
		if !ok || !slices.Equal(f.params, def.ParamTypes()) || !slices.Equal(f.results, def.ResultTypes()) {
			f = missing(namespace, name, ok, offered[namespace] != nil)
		}
		builders[namespace] = b.NewFunctionBuilder().WithGoModuleFunction(f.bind(), def.ParamTypes(), def.ResultTypes()).Export(name)
	}
	for _, namespace := range order {
		if _, err := builders[namespace].Instantiate(ctx); err != nil {
			return fmt.Errorf("link %s: %w", oneLine(namespace, 100), err)
		}
	}
	return nil
}

// onlyFunctions refuses imports of another kind: this host offers none, and the engine
// would only miss the module that they come from.
func onlyFunctions(r *module.Report) error {
	for _, i := range r.Imports {
		if i.Kind != module.KindFunc {
			return &module.Refusal{Rule: module.RuleFeature, Func: module.NoFunc, Detail: fmt.Sprintf(
				"import %q.%q is a %s and no host offers one", oneLine(i.Module, 64), oneLine(i.Name, 64), i.Kind)}
		}
	}
	return nil
}

// bind makes the function that the engine calls. An i32 parameter fills half of its
// slot; what the other half holds is left over and must not count.
func (f hostFunc) bind() api.GoModuleFunc {
	var narrow []int
	for i, t := range f.params {
		if t == i32 {
			narrow = append(narrow, i)
		}
	}
	return func(ctx context.Context, m api.Module, stack []uint64) {
		for _, i := range narrow {
			stack[i] = uint64(uint32(stack[i]))
		}
		c := from(ctx)
		if !f.kernel {
			c.enter(ctx)
		}
		f.run(ctx, c, m, stack)
	}
}

// missing is a function that this host does not offer.
func missing(namespace, name string, wrongType, ours bool) hostFunc {
	what := oneLine(namespace, 100) + ":" + oneLine(name, 100)
	text := "called " + what + ", which this host does not offer"
	switch {
	case wrongType:
		text = "called " + what + " with another type than this host offers it with"
	case !ours:
		text += "; modules that need another module are not supported: link them into one"
	}
	return hostFunc{run: func(_ context.Context, c *call, _ api.Module, _ []uint64) { c.trap(&TrapError{Message: text}) }}
}
