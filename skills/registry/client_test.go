package registry

import (
	"context"
	"testing"
)

func TestAddRefreshSearchShow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	st := r.mustAdd()
	if st.Skills != 1 || st.Threshold != "2 of 3" || st.Version != 1 {
		t.Errorf("status %s", indent(t, st))
	}
	r.must(r.maker.AddSkill(entry("acme/weather", "1.10.0"), nil))
	r.must(r.maker.AddSkill(entry("acme/weather", "1.9.0"), nil))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	all, err := r.show()
	if err != nil || len(all) != 3 || all[0].Version != "1.10.0" || all[2].Version != "1.0.0" || all[0].Registry != "corp" {
		t.Errorf("show: %v, %s", err, indent(t, all))
	}
	found, err := r.client.Search(context.Background(), "WEATH")
	if err != nil || len(found) != 1 || found[0].Version != "1.10.0" {
		t.Errorf("search: %v, %s", err, indent(t, found))
	}
	if err := r.client.Remove(context.Background(), "corp"); err != nil {
		t.Fatal(err)
	}
	if list, err := r.client.List(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("after removal: %v, %s", err, indent(t, list))
	}
}
