package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// A recording judges like the real broker and needs no network.
func ExampleRecorded() {
	r, err := broker.NewRecorded([]broker.Exchange{{
		Request:  broker.RecordedRequest{URL: "https://api.example.com/time"},
		Response: broker.RecordedResponse{Body: "noon"},
	}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	rights := abi.Rights{
		HTTP:   []abi.HTTPRight{{Origin: "https://api.example.com", Methods: []string{"GET"}, Paths: []string{"/time"}}},
		Limits: abi.DefaultLimits(),
	}
	caller := abi.Caller{Agent: "me", Skill: "clock"}
	_, body, err := r.Fetch(context.Background(), caller, rights, abi.FetchRequest{URL: "https://api.example.com/time"}, nil)
	fmt.Printf("%s %v\n", body, err)

	_, _, err = r.Fetch(context.Background(), caller, rights, abi.FetchRequest{URL: "https://evil.example.com/"}, nil)
	var p *abi.Problem
	if errors.As(err, &p) {
		fmt.Println(p.Message)
		fmt.Println(p.Hint)
	}
	// Output:
	// noon <nil>
	// https://evil.example.com is not granted to skill clock
	// glovebox skill grant clock --http https://evil.example.com
}
