package module

// vector reads what follows 0xfd. Operations from 0x80 take two bytes as LEB128,
// of which the engine reads the first and then runs the second, always 1, as nop:
// so exactly that spelling is accepted.
func (w *walker) vector() {
	op := w.byte()
	if w.ok() && op >= 0x80 {
		if hi := w.byte(); w.ok() && hi != 1 {
			w.fail(RuleFeature, "vector instruction %#x is not supported (build without relaxed-simd)", int(op&0x7f)|int(hi)<<7)
		}
	}
	switch {
	case !w.ok():
	case op <= 0x0b || op == 0x5c || op == 0x5d: // loads and stores
		w.memarg()
	case op == 0x0c: // v128.const
		w.skip(16)
	case op == 0x0d: // shuffle
		w.skip(16)
	case op >= 0x15 && op <= 0x22: // lanes
		w.skip(1)
	case op >= 0x54 && op <= 0x5b: // lane loads and stores
		w.memarg()
		w.skip(1)
	case absent(op):
		w.fail(RuleMalformed, "unknown vector instruction %#x", op)
	}
}

// absent lists the holes in WebAssembly 2.0's vector instructions.
func absent(op byte) bool {
	switch op {
	case 0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee:
		return true
	}
	return false
}
