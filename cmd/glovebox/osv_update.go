package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/spf13/cobra"
)

// maxDownload bounds what an address may answer, in bytes. An import reads no more.
const maxDownload = 1 << 30

func (a *app) osvUpdate() *cobra.Command {
	var from, ecosystem, asOf string
	var force bool
	cmd := &cobra.Command{
		Use: "update --ecosystem NAME --from DIR|ZIP|URL", Short: "Replace the data of one ecosystem", Args: exactly(0),
		Long: `Replace the data of one ecosystem by a zip of OSV records, such as OSV's own export
(https://osv-vulnerabilities.storage.googleapis.com/Go/all.zip), or by a folder of them.
A record that cannot be read, or data that is older than what is there, ends it with
nothing changed. Data is as old as its newest record; --as-of says otherwise, and is
your word.`,
		Example: `  glovebox osv update --ecosystem Go --from all.zip
  glovebox osv update --ecosystem npm --from https://osv-vulnerabilities.storage.googleapis.com/npm/all.zip`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := advisory.ImportOptions{Now: time.Now(), Force: force}
			if asOf != "" {
				day, err := time.Parse(time.DateOnly, asOf)
				if err != nil {
					return usage("--as-of "+quote(asOf)+" is not a day", "want a day such as 2027-01-31")
				}
				o.AsOf = day
			}
			if from == "" || ecosystem == "" {
				return usage("--ecosystem and --from are required", "glovebox osv update --ecosystem Go --from all.zip")
			}
			x, _, err := a.advisories(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = x.Close() }()
			done, err := importFrom(cmd.Context(), x, sbom.Ecosystem(ecosystem), from, o)
			if err != nil {
				return err
			}
			return a.show(done, func() {
				fmt.Fprintf(a.out, "%s: %d records as of %s, %d left out\n", done.Ecosystem, done.Records, done.Newest.Format(time.DateOnly), done.Left)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`SOURCE` of the records: a folder, a zip or an https address")
	cmd.Flags().StringVar(&ecosystem, "ecosystem", "", "`NAME` of the ecosystem: Go, npm, crates.io or PyPI")
	cmd.Flags().StringVar(&asOf, "as-of", "", "`DAY` of the data, where its records do not tell")
	cmd.Flags().BoolVar(&force, "force", false, "take data that is older than what is there")
	return cmd
}

// importFrom imports from a folder, a file or an address.
func importFrom(ctx context.Context, x *advisory.Index, eco sbom.Ecosystem, from string, o advisory.ImportOptions) (advisory.Imported, error) {
	var f *os.File
	var err error
	if strings.HasPrefix(from, "https://") || strings.HasPrefix(from, "http://") {
		f, err = download(ctx, from)
	} else {
		f, err = os.Open(from)
	}
	if err != nil {
		return advisory.Imported{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return advisory.Imported{}, err
	case info.IsDir():
		root, err := os.OpenRoot(from)
		if err != nil {
			return advisory.Imported{}, err
		}
		defer func() { _ = root.Close() }()
		return x.ImportFolder(ctx, eco, root.FS(), o)
	case !info.Mode().IsRegular():
		return advisory.Imported{}, failed(from+" is neither a folder nor a file", "")
	}
	return x.Import(ctx, eco, f, info.Size(), o)
}

// download returns a file without a name that holds what the address answers.
func download(ctx context.Context, from string) (f *os.File, err error) {
	u, err := abi.ParseURL(from)
	if err != nil {
		return nil, usage(err.Error(), "")
	}
	client, err := broker.OperatorClient(broker.OperatorConfig{Origins: []abi.Origin{u.Origin}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, usage(err.Error(), "")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", from, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, failed(fmt.Sprintf("fetch %s: the server answers %s", from, resp.Status), "fetch the zip with a browser, and give the file")
	}
	if f, err = os.CreateTemp("", "glovebox-osv-"); err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name())
	n, err := io.Copy(f, io.LimitReader(resp.Body, maxDownload+1))
	if err == nil && n > maxDownload {
		err = failed(fmt.Sprintf("fetch %s: more than %d bytes", from, int64(maxDownload)), "")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readDocument reads a lock file or an SBOM; their readers refuse what is longer.
func readDocument(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, 64<<20))
}
