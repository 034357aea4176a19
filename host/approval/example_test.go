package approval_test

import (
	"fmt"

	"github.com/glovebox-dev/glovebox/host/approval"
)

// A person sees every character of a value, and what could deceive the eye.
func ExampleVisible() {
	fmt.Println(approval.Visible("invoice\u202efdp.exe"))
	fmt.Println(approval.Notes("p\u0430ypal.com", true)[0])
	// Output:
	// "invoice\u{202E}fdp.exe"
	// the word "pаypal" mixes scripts: Cyrillic, Latin (p\u{430}ypal)
}

// Only a whole yes is a yes.
func ExampleReadWord() {
	for _, text := range []string{"yes", "no, do not go ahead", "yesterday I said yes"} {
		fmt.Println(approval.ReadWord(text) == approval.Yes)
	}
	// Output:
	// true
	// false
	// false
}
