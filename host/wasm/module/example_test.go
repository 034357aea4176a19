package module_test

import (
	"fmt"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
)

func ExampleScan() {
	var b modtest.Builder
	b.Export("_start", 0, b.Func(b.Type(nil, nil), nil))
	report, err := module.Scan(b.Bytes(), module.DefaultLimits())
	if err != nil {
		fmt.Println(err)
		return
	}
	profile, err := report.Profile()
	fmt.Println(profile, err)

	_, err = module.Scan(modtest.Locals(1, 1<<32-1), module.DefaultLimits())
	fmt.Println(err)
	// Output:
	// wasip1/command <nil>
	// module refused: too many locals in function 0 (4294967295, at most 10000) (rule module/locals)
}
