// The idea behind the fast paths: leaves that agree in everything but their frame give results that differ from them by one constant.
//
// A path takes a leaf that passes as its pattern and compares the next ones with it, in everything but the frame. Under the same rights
// above, what agrees passes too, and what differs between two entries, their frames, is all that differs between their results:
//
//     result = entry ^ change | offset in the page        change = pattern ^ result of the pattern
//
// So leaves are judged two a vector and four at once, and nothing is taken apart. The frame's field holds reserved bits as well (x86:
// those from MAXPHYADDR to 51); they are among the bits that a leaf is tested for, and these must agree wherever they stand.
//
// Entries are loaded plainly, each once by one aligned 8-byte load, and what was loaded is judged and used as one word. V8 11 emits a bounds
// check and an alignment check for an atomic load and neither for a plain one, else the same `mov`: 6 % of a batch. What that rests on:
//   whole words   The specification says that a plain access of at most 4 bytes does not tear (WebAssembly/threads, issue 199) and leaves
//                 it open for 8. On 64-bit processors engines compile an aligned one to one instruction that does not tear, and the
//                 halves of a vector that is loaded from memory in turn are 8 bytes, aligned.
//   order         Among themselves the loads of a path need none but that a table is read after the entry that refers to it, which
//                 processors keep because one's value is the other's address. `Batch` orders all of them behind the RCU section's opening,
//                 and its closing, an atomic store, comes after them. The walk keeps its atomic loads: single translations compare the
//                 RCU clock before and after, and an Arm may delay a plain load past the second reading.

export abstract class Pattern {
  /** The bits in which a leaf has to agree with the pattern, `test` being what a leaf is tested for. */
  @inline
  static fixed<F>(test: u64): u64 {
    return ~changetype<F>(0).leafFrame(~(<u64>0)) | test;
  }

  /**
   * `change` for the leaf `pattern` under packed rights, or 0 if it does not pass: one that does has its present bit, where a result
   * word has the offset in the page.
   */
  @inline
  static change<F>(pattern: u64, rights: u32, test: u64, need: u64): u64 {
    const format = changetype<F>(0);
    const leaf = format.effective(pattern, rights);
    return ((leaf ^ need) & test) == 0 ? pattern ^ format.leafResult(leaf, 0) : 0;
  }

  /** The entries at two slots. */
  @inline
  static pair(slot0: usize, slot1: usize): v128 {
    return v128.load_lane<u64>(slot1, v128.load_zero<u64>(slot0), 1);
  }

  /** All bits in which one of four words differs from what is in both halves of `wanted`. */
  @inline
  static differ(words01: v128, words23: v128, wanted: v128): v128 {
    return v128.or(v128.xor(words01, wanted), v128.xor(words23, wanted));
  }

  /**
   * One leaf on its own: its result word goes to `out`, the bits `touch` being set in it by compare-exchange if they are all that it
   * lacks. False if it must go the long way.
   */
  @inline
  static single<F>(slot: usize, rights: u32, va: u64, out: usize, test: u64, need: u64, touch: u64): bool {
    const format = changetype<F>(0);
    const entry = load<u64>(slot);
    let leaf = format.effective(entry, rights);
    const wrong = (leaf ^ need) & test;
    if (wrong != 0) {
      if ((wrong & ~touch) != 0) return false;
      if (atomic.cmpxchg<u64>(slot, entry, entry | touch) != entry) return false;
      leaf |= touch;
    }
    store<u64>(out, format.leafResult(leaf, va));
    return true;
  }
}
