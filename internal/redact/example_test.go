package redact_test

import (
	"fmt"
	"log"

	"github.com/glovebox-dev/glovebox/internal/redact"
)

func Example() {
	m, err := redact.NewMatcher(map[string]string{"github": "ghp-correct-horse"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.RedactString("sent Bearer ghp-correct-horse to api.github.com"))
	fmt.Println(m.RedactString("as base64 Z2hwLWNvcnJlY3QtaG9yc2U="))
	fmt.Println(m.RedactString("prose about tokens stays as it is"))
	// Output:
	// sent Bearer [secret:github] to api.github.com
	// as base64 [secret:github]=
	// prose about tokens stays as it is
}
