// A strict JSON reader (RFC 8259) over a decoded text, and the quoting of strings.

const MAX_DEPTH: i32 = 64;

export class Reader {
  error: string = "";
  private at: i32 = 0;
  private depth: i32 = 0;

  constructor(private text: string) {}

  fail(why: string): void {
    if (this.error.length == 0) this.error = why;
    this.at = this.text.length;
  }

  private peek(): i32 {
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      if (c != 32 && c != 9 && c != 10 && c != 13) return c;
      this.at++;
    }
    return -1;
  }

  private take(c: i32): bool {
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }

  // isObject and isString tell what comes next.
  isObject(): bool {
    return this.peek() == 0x7b;
  }

  isString(): bool {
    return this.peek() == 0x22;
  }

  isNumber(): bool {
    const c = this.peek();
    return c == 0x2d || (c >= 48 && c <= 57);
  }

  // open enters an object; key then yields its keys and "" at the end, and
  // duplicate() is the caller's duty.
  open(): bool {
    if (!this.take(0x7b)) {
      this.fail("expected an object");
      return false;
    }
    if (++this.depth > MAX_DEPTH) this.fail("nested too deeply");
    return this.error.length == 0;
  }

  // next moves to the next member and reports whether there is one.
  next(first: bool): bool {
    if (this.error.length > 0) return false;
    if (this.take(0x7d)) {
      this.depth--;
      return false;
    }
    if (!first && !this.take(0x2c)) {
      this.fail("expected , or } in an object");
      return false;
    }
    return true;
  }

  key(): string {
    const key = this.string();
    if (!this.take(0x3a)) this.fail("expected : after a key");
    return key;
  }

  string(): string {
    if (!this.take(0x22)) {
      this.fail("expected a string");
      return "";
    }
    let out = "";
    let start = this.at;
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at++);
      if (c == 0x22) return out + this.text.slice(start, this.at - 1);
      if (c < 0x20) {
        this.fail("control character in a string");
        return "";
      }
      if (c == 0x5c) {
        out += this.text.slice(start, this.at - 1) + this.escape();
        start = this.at;
      }
    }
    this.fail("unterminated string");
    return "";
  }

  private escape(): string {
    if (this.at >= this.text.length) return "";
    const c = this.text.charCodeAt(this.at++);
    switch (c) {
      case 0x22:
      case 0x5c:
      case 0x2f:
        return String.fromCharCode(c);
      case 0x62:
        return "\b";
      case 0x66:
        return "\f";
      case 0x6e:
        return "\n";
      case 0x72:
        return "\r";
      case 0x74:
        return "\t";
      case 0x75:
        return this.unicode();
    }
    this.fail("unknown escape");
    return "";
  }

  // unicode reads the digits of a \u escape; strings are UTF-16 here, so that the
  // halves of a surrogate pair may come one after the other.
  private unicode(): string {
    let code: i32 = 0;
    for (let i = 0; i < 4; i++) {
      const c = this.at < this.text.length ? this.text.charCodeAt(this.at++) : 0;
      const low = c | 32;
      const digit = c >= 48 && c <= 57 ? c - 48 : low >= 97 && low <= 102 ? low - 87 : -1;
      if (digit < 0) {
        this.fail("bad \\u escape");
        return "";
      }
      code = (code << 4) | digit;
    }
    return String.fromCharCode(code);
  }

  private digits(): i32 {
    const start = this.at;
    while (this.at < this.text.length && this.text.charCodeAt(this.at) >= 48 && this.text.charCodeAt(this.at) <= 57) this.at++;
    return this.at - start;
  }

  number(): f64 {
    this.peek();
    const start = this.at;
    this.take(0x2d);
    const zero = this.at < this.text.length && this.text.charCodeAt(this.at) == 48;
    const whole = this.digits();
    let ok = whole > 0 && !(zero && whole > 1);
    if (ok && this.at < this.text.length && this.text.charCodeAt(this.at) == 0x2e) {
      this.at++;
      ok = this.digits() > 0;
    }
    if (ok && this.at < this.text.length && (this.text.charCodeAt(this.at) | 32) == 0x65) {
      this.at++;
      const sign = this.at < this.text.length ? this.text.charCodeAt(this.at) : 0;
      if (sign == 0x2b || sign == 0x2d) this.at++;
      ok = this.digits() > 0;
    }
    if (!ok) this.fail("bad number");
    return ok ? parseFloat(this.text.slice(start, this.at)) : 0;
  }

  skip(): void {
    const c = this.peek();
    if (c == 0x22) {
      this.string();
    } else if (c == 0x7b) {
      if (!this.open()) return;
      let first = true;
      while (this.next(first)) {
        first = false;
        this.key();
        this.skip();
      }
    } else if (c == 0x5b) {
      this.array();
    } else if (this.isNumber()) {
      this.number();
    } else if (!this.word("true") && !this.word("false") && !this.word("null")) {
      this.fail("expected a value");
    }
  }

  private array(): void {
    this.at++;
    if (++this.depth > MAX_DEPTH) return this.fail("nested too deeply");
    if (!this.take(0x5d)) {
      do {
        this.skip();
      } while (this.take(0x2c));
      if (!this.take(0x5d)) this.fail("expected , or ] in an array");
    }
    this.depth--;
  }

  private word(w: string): bool {
    if (this.text.substr(this.at, w.length) != w) return false;
    this.at += w.length;
    return true;
  }

  end(): void {
    if (this.peek() != -1) this.fail("bytes after the document");
  }
}

export function quote(s: string): string {
  let out = '"';
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c == 0x22 || c == 0x5c) {
      out += "\\" + String.fromCharCode(c);
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\u00" + (c < 16 ? "0" : "") + c.toString(16);
    } else if (c >= 0xd800 && c < 0xe000) {
      const low = i + 1 < s.length ? s.charCodeAt(i + 1) : 0;
      const pair = c < 0xdc00 && low >= 0xdc00 && low < 0xe000;
      out += pair ? s.slice(i, i + 2) : "\ufffd";
      if (pair) i++;
    } else {
      out += String.fromCharCode(c);
    }
  }
  return out + '"';
}
