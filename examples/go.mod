module github.com/glovebox-dev/glovebox/examples

go 1.26.3

require (
	github.com/glovebox-dev/glovebox v0.0.0
	github.com/itchyny/gojq v0.12.20
	golang.org/x/net v0.62.0
)

require (
	github.com/extism/go-pdk v1.1.3 // indirect
	github.com/itchyny/timefmt-go v0.1.9 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace github.com/glovebox-dev/glovebox => ../
