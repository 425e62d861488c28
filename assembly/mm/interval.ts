// An interval tree: which of many intervals overlap a given one (lib/interval_tree.c, mm/interval_tree.c).
//
// Guarantees: nodes with equal intervals may stand in it together; a visit sees every overlapping node once, in ascending order of first
// element; all take logarithmic time in expectation. It is a treap (Seidel and Aragon 1996) whose nodes also know the
// highest last element below them. Priorities are a hash of the node's address, so the same operations give the same tree,
// and a state of the machine is memory alone.
//
// A node is part of its owner's block (NODE_*, layout.ts). Whoever uses a tree holds its lock: mmap_lock, i_mmap_rwsem. So these are plain
// loads and stores, and no scheduling points.

import { NODE_FIRST, NODE_LAST, NODE_LEFT, NODE_MAX, NODE_RIGHT } from "../layout";

export abstract class Interval {
  /** Puts `node` into the tree whose root pointer stands at `root`; its interval is [first, last]. */
  static insert(root: usize, node: usize, first: u64, last: u64): void {
    store<u64>(node, first, NODE_FIRST);
    store<u64>(node, last, NODE_LAST);
    store<u64>(node, last, NODE_MAX);
    store<u32>(node, 0, NODE_LEFT);
    store<u32>(node, 0, NODE_RIGHT);
    store<u32>(root, <u32>Interval.insertBelow(load<u32>(root), node));
  }

  /** Takes `node` out; false if it is not in the tree. */
  static remove(root: usize, node: usize): bool {
    let link = root;
    for (let at: usize = load<u32>(link); at != node; at = load<u32>(link)) {
      if (at == 0) return false;
      link = at + (Interval.before(node, at) ? NODE_LEFT : NODE_RIGHT);
    }
    store<u32>(link, <u32>Interval.join(load<u32>(node, NODE_LEFT), load<u32>(node, NODE_RIGHT)));
    // The way down to it once more, for the highest last elements above.
    Interval.renewTo(load<u32>(root), node);
    return true;
  }

  /** The first node, in ascending order of first element, that overlaps [first, last]; 0 if none does. */
  static find(root: usize, first: u64, last: u64): usize {
    let at: usize = load<u32>(root);
    while (at != 0 && load<u64>(at, NODE_MAX) >= first) {
      const left: usize = load<u32>(at, NODE_LEFT);
      if (left != 0 && load<u64>(left, NODE_MAX) >= first) {
        // What overlaps on the left comes first; if nothing there does, all to the right begins too late.
        at = left;
        continue;
      }
      if (load<u64>(at, NODE_FIRST) > last) return 0;
      if (load<u64>(at, NODE_LAST) >= first) return at;
      at = load<u32>(at, NODE_RIGHT);
    }
    return 0;
  }

  /** The next one after `node`, which is in the tree; 0 if there is none. The tree may not have changed between. */
  static next(root: usize, node: usize, first: u64, last: u64): usize {
    return Interval.afterIn(load<u32>(root), node, first, last);
  }

  // ---- order: by first element, then by address, so that no two nodes are equal

  @inline
  private static before(a: usize, b: usize): bool {
    const firstA = load<u64>(a, NODE_FIRST);
    const firstB = load<u64>(b, NODE_FIRST);
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
    if (top == 0 || load<u64>(top, NODE_MAX) < first) return 0;
    if (!Interval.before(node, top)) return Interval.afterIn(load<u32>(top, NODE_RIGHT), node, first, last);
    const left = Interval.afterIn(load<u32>(top, NODE_LEFT), node, first, last);
    if (left != 0) return left;
    if (load<u64>(top, NODE_FIRST) > last) return 0;
    if (load<u64>(top, NODE_LAST) >= first) return top;
    return Interval.afterIn(load<u32>(top, NODE_RIGHT), node, first, last);
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
    store<u32>(top + side, <u32>Interval.insertBelow(load<u32>(top + side), node));
    Interval.renew(top);
    return top;
  }

  /** What is below `top` goes to two links: what comes before `node`, and what comes after. */
  private static splitInto(top: usize, node: usize, before: usize, after: usize): void {
    if (top == 0) {
      store<u32>(before, 0);
      store<u32>(after, 0);
      return;
    }
    if (Interval.before(top, node)) {
      store<u32>(before, <u32>top);
      Interval.splitInto(load<u32>(top, NODE_RIGHT), node, top + NODE_RIGHT, after);
    } else {
      store<u32>(after, <u32>top);
      Interval.splitInto(load<u32>(top, NODE_LEFT), node, before, top + NODE_LEFT);
    }
    Interval.renew(top);
  }

  /** One tree of two, all of `left` before all of `right`. */
  private static join(left: usize, right: usize): usize {
    if (left == 0) return right;
    if (right == 0) return left;
    if (Interval.priority(left) > Interval.priority(right)) {
      store<u32>(left, <u32>Interval.join(load<u32>(left, NODE_RIGHT), right), NODE_RIGHT);
      Interval.renew(left);
      return left;
    }
    store<u32>(right, <u32>Interval.join(left, load<u32>(right, NODE_LEFT)), NODE_LEFT);
    Interval.renew(right);
    return right;
  }

  private static renewTo(top: usize, node: usize): void {
    if (top == 0) return;
    Interval.renewTo(load<u32>(top + (Interval.before(node, top) ? NODE_LEFT : NODE_RIGHT)), node);
    Interval.renew(top);
  }

  @inline
  private static renew(node: usize): void {
    const left: usize = load<u32>(node, NODE_LEFT);
    const right: usize = load<u32>(node, NODE_RIGHT);
    let highest = load<u64>(node, NODE_LAST);
    if (left != 0) highest = max(highest, load<u64>(left, NODE_MAX));
    if (right != 0) highest = max(highest, load<u64>(right, NODE_MAX));
    store<u64>(node, highest, NODE_MAX);
  }
}
