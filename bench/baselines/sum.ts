// The bound of a scan, in AssemblyScript: every entry read once, by vectors, as plainly as it goes.

export function sum(from: usize, bytes: usize): u64 {
  let a = i64x2.splat(0);
  let b = i64x2.splat(0);
  for (let at = from; at < from + bytes; at += 128) {
    const c = i64x2.add(i64x2.add(v128.load(at), v128.load(at, 16)), i64x2.add(v128.load(at, 32), v128.load(at, 48)));
    const d = i64x2.add(
      i64x2.add(v128.load(at, 64), v128.load(at, 80)),
      i64x2.add(v128.load(at, 96), v128.load(at, 112)),
    );
    a = i64x2.add(a, c);
    b = i64x2.add(b, d);
  }
  a = i64x2.add(a, b);
  return i64x2.extract_lane(a, 0) + i64x2.extract_lane(a, 1);
}
