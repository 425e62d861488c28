// An interval tree: which of many intervals overlap a given one (lib/interval_tree.c, mm/interval_tree.c).
//
// Guarantees: nodes with equal intervals may stand in it together; a visit sees every overlapping node once, in ascending order of first
// element; all take logarithmic time in expectation. It is a treap (Seidel and Aragon 1996) whose nodes also know the
// highest last element below them. Priorities are a hash of the node's address, so the same operations give the same tree,
// and a state of the machine is memory alone.
//
// A node is part of its owner's block (NODE_*, layout.ts). Whoever uses a tree holds its lock: mmap_lock, i_mmap_rwsem, anon_vma->rwsem. So these
// accesses are part of the step that runs. Who holds no lock uses `findRacing`.

import { NODE_FIRST, NODE_LAST, NODE_LEFT, NODE_MAX, NODE_RIGHT, POINT_LOAD, POINT_STORE } from "../layout";
import { Shared } from "../atomic";
import { Point } from "../point";

/** More than the way down any tree has nodes, unless it changes meanwhile. */
const LONGEST = 256;

export abstract class Interval {
  /** Puts `node` into the tree whose root pointer stands at `root`; its interval is [first, last]. */
  static insert(root: usize, node: usize, first: u64, last: u64): void {
    Interval.put<u64>(node + NODE_FIRST, first);
    Interval.put<u64>(node + NODE_LAST, last);
    Interval.put<u64>(node + NODE_MAX, last);
    Interval.put<u32>(node + NODE_LEFT, 0);
    Interval.put<u32>(node + NODE_RIGHT, 0);
    Interval.put<u32>(root, <u32>Interval.insertBelow(Shared.quietLoad<u32>(root), node));
  }

  /** Takes `node` out; false if it is not in the tree. */
  static remove(root: usize, node: usize): bool {
    let link = root;
    for (let at: usize = Shared.quietLoad<u32>(link); at != node; at = Shared.quietLoad<u32>(link)) {
      if (at == 0) return false;
      link = at + (Interval.before(node, at) ? NODE_LEFT : NODE_RIGHT);
    }
    Interval.put<u32>(
      link,
      <u32>Interval.join(Shared.quietLoad<u32>(node + NODE_LEFT), Shared.quietLoad<u32>(node + NODE_RIGHT)),
    );
    // The way down to it once more, for the highest last elements above.
    Interval.renewTo(Shared.quietLoad<u32>(root), node);
    return true;
  }

  /** The first node, in ascending order of first element, that overlaps [first, last]; 0 if none does. */
  static find(root: usize, first: u64, last: u64): usize {
    let at: usize = Shared.quietLoad<u32>(root);
    while (at != 0 && Shared.quietLoad<u64>(at + NODE_MAX) >= first) {
      const left: usize = Shared.quietLoad<u32>(at + NODE_LEFT);
      if (left != 0 && Shared.quietLoad<u64>(left + NODE_MAX) >= first) {
        // What overlaps on the left comes first; if nothing there does, all to the right begins too late.
        at = left;
        continue;
      }
      if (Shared.quietLoad<u64>(at + NODE_FIRST) > last) return 0;
      if (Shared.quietLoad<u64>(at + NODE_LAST) >= first) return at;
      at = Shared.quietLoad<u32>(at + NODE_RIGHT);
    }
    return 0;
  }

  /**
   * The node that holds `at`, or 0, in a tree of disjoint intervals, by somebody who holds no lock and learns afterwards whether the tree changed
   * meanwhile: then the answer means nothing. It ends whatever it meets, and meets nodes only, as long as their blocks stay nodes.
   */
  static findRacing(root: usize, at: u64): usize {
    let node: usize = Interval.racing<u32>(root);
    for (let n = 0; n < LONGEST && node != 0; ++n) {
      if (at < Interval.racing<u64>(node + NODE_FIRST)) node = Interval.racing<u32>(node + NODE_LEFT);
      else if (at <= Interval.racing<u64>(node + NODE_LAST)) return node;
      else node = Interval.racing<u32>(node + NODE_RIGHT);
    }
    return 0;
  }

  @inline
  private static racing<T>(p: usize): T {
    Point.quiet(p, POINT_LOAD);
    return atomic.load<T>(p);
  }

  /** Atomic, so that who searches without the lock sees changes in their order; part of the step that runs. */
  @inline
  private static put<T>(p: usize, value: T): void {
    Point.quiet(p, POINT_STORE);
    atomic.store<T>(p, value);
  }

  /** The next one after `node`, which is in the tree; 0 if there is none. The tree may not have changed between. */
  static next(root: usize, node: usize, first: u64, last: u64): usize {
    return Interval.afterIn(Shared.quietLoad<u32>(root), node, first, last);
  }

  // ---- order: by first element, then by address, so that no two nodes are equal

  @inline
  private static before(a: usize, b: usize): bool {
    const firstA = Shared.quietLoad<u64>(a + NODE_FIRST);
    const firstB = Shared.quietLoad<u64>(b + NODE_FIRST);
    return firstA < firstB || (firstA == firstB && a < b);
  }

  /** Nodes nearer the root have higher ones. */
  @inline
  private static priority(node: usize): u32 {
    let hash = <u32>node * 0x9e3779b1;
    hash ^= hash >> 15;
    return hash * 0x85ebca77;
  }

  /** The first node after `node` below `top` that overlaps. */
  private static afterIn(top: usize, node: usize, first: u64, last: u64): usize {
    if (top == 0 || Shared.quietLoad<u64>(top + NODE_MAX) < first) return 0;
    if (!Interval.before(node, top))
      return Interval.afterIn(Shared.quietLoad<u32>(top + NODE_RIGHT), node, first, last);
    const left = Interval.afterIn(Shared.quietLoad<u32>(top + NODE_LEFT), node, first, last);
    if (left != 0) return left;
    if (Shared.quietLoad<u64>(top + NODE_FIRST) > last) return 0;
    if (Shared.quietLoad<u64>(top + NODE_LAST) >= first) return top;
    return Interval.afterIn(Shared.quietLoad<u32>(top + NODE_RIGHT), node, first, last);
  }

  // ---- the treap

  private static insertBelow(top: usize, node: usize): usize {
    if (top == 0) return node;
    if (Interval.priority(node) > Interval.priority(top)) {
      Interval.splitInto(top, node, node + NODE_LEFT, node + NODE_RIGHT);
      Interval.renew(node);
      return node;
    }
    const side = Interval.before(node, top) ? NODE_LEFT : NODE_RIGHT;
    Interval.put<u32>(top + side, <u32>Interval.insertBelow(Shared.quietLoad<u32>(top + side), node));
    Interval.renew(top);
    return top;
  }

  /** What is below `top` goes to two links: what comes before `node`, and what comes after. */
  private static splitInto(top: usize, node: usize, before: usize, after: usize): void {
    if (top == 0) {
      Interval.put<u32>(before, 0);
      Interval.put<u32>(after, 0);
      return;
    }
    if (Interval.before(top, node)) {
      Interval.put<u32>(before, <u32>top);
      Interval.splitInto(Shared.quietLoad<u32>(top + NODE_RIGHT), node, top + NODE_RIGHT, after);
    } else {
      Interval.put<u32>(after, <u32>top);
      Interval.splitInto(Shared.quietLoad<u32>(top + NODE_LEFT), node, before, top + NODE_LEFT);
    }
    Interval.renew(top);
  }

  /** One tree of two, all of `left` before all of `right`. */
  private static join(left: usize, right: usize): usize {
    if (left == 0) return right;
    if (right == 0) return left;
    if (Interval.priority(left) > Interval.priority(right)) {
      Interval.put<u32>(left + NODE_RIGHT, <u32>Interval.join(Shared.quietLoad<u32>(left + NODE_RIGHT), right));
      Interval.renew(left);
      return left;
    }
    Interval.put<u32>(right + NODE_LEFT, <u32>Interval.join(left, Shared.quietLoad<u32>(right + NODE_LEFT)));
    Interval.renew(right);
    return right;
  }

  private static renewTo(top: usize, node: usize): void {
    if (top == 0) return;
    Interval.renewTo(Shared.quietLoad<u32>(top + (Interval.before(node, top) ? NODE_LEFT : NODE_RIGHT)), node);
    Interval.renew(top);
  }

  @inline
  private static renew(node: usize): void {
    const left: usize = Shared.quietLoad<u32>(node + NODE_LEFT);
    const right: usize = Shared.quietLoad<u32>(node + NODE_RIGHT);
    let highest = Shared.quietLoad<u64>(node + NODE_LAST);
    if (left != 0) highest = max(highest, Shared.quietLoad<u64>(left + NODE_MAX));
    if (right != 0) highest = max(highest, Shared.quietLoad<u64>(right + NODE_MAX));
    Interval.put<u64>(node + NODE_MAX, highest);
  }
}
