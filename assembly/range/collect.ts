// Copies the entries of a range, whatever stands in them, as a visitor of apply_to_pfn_range().

import { PATH_CAPACITY, PATH_OUTPUT } from "../layout";
import { Entry } from "../pte/entry";
import { LARGE_NEVER } from "./apply";
import { Path } from "./path";

/** Stopped, for the buffer is full: no STATUS_*. */
const FULL: i32 = 0x100;

/** Writes each entry to PATH_OUTPUT, and stops when PATH_CAPACITY words are written. */
export class Collect {
  @inline
  get large(): i32 {
    return LARGE_NEVER;
  }

  @inline
  enter(_path: usize): void {}

  pte<F>(path: usize, slot: usize, va: u64, end: u64, _level: i32): i32 {
    const left = load<u32>(path, PATH_CAPACITY);
    if (left == 0) return FULL;
    const output = <usize>load<u32>(path, PATH_OUTPUT);
    store<u64>(output, Entry.load<F>(slot));
    store<u32>(path, <u32>output + 8, PATH_OUTPUT);
    store<u32>(path, left - 1, PATH_CAPACITY);
    Path.note(path, 1, va, end);
    return 0;
  }

  @inline
  leave(_path: usize): void {}
}
