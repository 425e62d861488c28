// The states that were met: a set of fingerprints of 96 bits, and what a search notes beside each.
//
// Guarantees: a state that was added is found again. One that was not is taken for one that was with a probability of at most
// n² / 2^97 for n states in all (`omission`): the fingerprint is the exclusive or of a random number for each component of the vector
// (Zobrist 1970), so two different vectors agree in it with probability 2^-96. For ten million states that is less than 10^-15.
// 16 bytes a state, at most 30 with the free places.

const FIRST = 4096;
/** Full beyond this part of the places, and then grown by that: never less than 0.535 of them are used, 30 bytes a state. */
const FULL = 0.75;
const GROWTH = 1.4;
const WORDS = 4;

/** Numbers for each value of each component, made as they are needed from one seed. */
export class Fingerprints {
  readonly #tables: Uint32Array[] = [];
  readonly #random = new Xoshiro(0x70616765);

  /** Three words for value `value` of component `n`: where in `table(n)` they stand is 3 × value. */
  table(n: number, value: number): Uint32Array {
    let table = this.#tables[n];
    if (table === undefined) {
      table = this.#grow(new Uint32Array(0), 16);
      this.#tables[n] = table;
    }
    if (value * 3 >= table.length) {
      table = this.#grow(table, Math.max(value + 1, (table.length / 3) * 2));
      this.#tables[n] = table;
    }
    return table;
  }

  #grow(old: Uint32Array, values: number): Uint32Array {
    const table = new Uint32Array(values * 3);
    table.set(old);
    for (let at = old.length; at < table.length; at++) table[at] = this.#random.next();
    return table;
  }
}

export class Visited {
  /** A fingerprint and a note of 32 bits a place; all zero: free. */
  #places = new Uint32Array(FIRST * WORDS);
  #capacity = FIRST;
  size = 0;
  /** How often all places changed. */
  moved = 0;
  /** Did the last `add` add one? */
  added = false;

  /** Place of a fingerprint, which is added if it was not there. */
  add(a: number, b: number, c: number): number {
    if (this.size >= FULL * this.#capacity) this.#grow();
    const [x, y] = [a >>> 0, b >>> 0];
    // The fingerprint of nothing is what a free place looks like.
    const z = (a | b | c) === 0 ? 1 : c >>> 0;
    const places = this.#places;
    let at = Math.floor(x * (this.#capacity / 2 ** 32)) * WORDS;
    while ((places[at] as number) !== 0 || places[at + 1] !== 0 || places[at + 2] !== 0) {
      if (places[at] === x && places[at + 1] === y && places[at + 2] === z) {
        this.added = false;
        return at;
      }
      at += WORDS;
      if (at === places.length) at = 0;
    }
    places[at] = x;
    places[at + 1] = y;
    places[at + 2] = z;
    this.size++;
    this.added = true;
    return at;
  }

  /** The note at a place that `add` returned, until the next `add`. */
  note(at: number): number {
    return this.#places[at + 3] as number;
  }

  setNote(at: number, note: number): void {
    this.#places[at + 3] = note;
  }

  get bytes(): number {
    return this.#places.byteLength;
  }

  /** Bound of the probability that some state was taken for another. */
  get omission(): number {
    return this.size ** 2 / 2 ** 97;
  }

  #grow(): void {
    const old = this.#places;
    this.#capacity = Math.ceil(this.#capacity * GROWTH);
    const places = new Uint32Array(this.#capacity * WORDS);
    // Written before it is read. A page that is read first is the kernel's zero page, and the first store to it a copy-on-write that has to
    // flush the TLBs of all threads: with two of them that was a tenth of the time.
    places.fill(0);
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from] === 0 && old[from + 1] === 0 && old[from + 2] === 0) continue;
      let at = Math.floor((old[from] as number) * (this.#capacity / 2 ** 32)) * WORDS;
      while (places[at] !== 0 || places[at + 1] !== 0 || places[at + 2] !== 0) {
        at += WORDS;
        if (at === places.length) at = 0;
      }
      for (let n = 0; n < WORDS; n++) places[at + n] = old[from + n] as number;
    }
    this.#places = places;
    this.moved++;
  }
}

/** xoshiro128** 1.1 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021), seeded by splitmix32. */
export class Xoshiro {
  readonly #s: Uint32Array = new Uint32Array(4);

  constructor(seed: number) {
    let z = seed >>> 0;
    for (let n = 0; n < 4; n++) {
      z = (z + 0x9e3779b9) >>> 0;
      let x = z;
      x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
      this.#s[n] = (x ^ (x >>> 16)) >>> 0;
    }
  }

  /** 32 bits. */
  next(): number {
    const s = this.#s;
    const [s0, s1, s2, s3] = [s[0] as number, s[1] as number, s[2] as number, s[3] as number];
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    const t = s1 << 9;
    s[2] = s2 ^ s0;
    s[3] = s3 ^ s1;
    s[1] = s1 ^ (s[2] as number);
    s[0] = s0 ^ (s[3] as number);
    s[2] = (s[2] as number) ^ t;
    s[3] = rotate(s[3] as number, 11);
    return result;
  }

  /** A number below `n`. */
  below(n: number): number {
    return Math.floor((this.next() / 2 ** 32) * n);
  }
}

function rotate(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}
