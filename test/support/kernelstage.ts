// A scene in the explore build that can be put back: faults and kernel paths in many schedules, each from the same memory.

import { layout } from './core.ts';
import { Scene } from './mm.ts';
import { type ExploreRig, makeExploreRig } from './stepper.ts';

/** Few words and frames, so that a copy of a page is few steps, and one of memory little work. */
const WORDS = 2;
const FRAMES = 24;

export interface Stage {
  rig: ExploreRig;
  scene: Scene;
  mm: number;
  /** Puts all of memory back as it was when this was made. */
  reset: () => void;
  save: () => void;
}

export async function makeStage(): Promise<Stage> {
  const rig = await makeExploreRig({ frames: FRAMES, heapBytes: 1 << 18 });
  rig.core.setPageWords(WORDS);
  const scene = Scene.over(rig);
  let saved = new Uint8Array();
  const regions: [number, number][] = [
    [layout.CONTROL, layout.AGENTS],
    [layout.HEAP, rig.ram + FRAMES * layout.FRAME_BYTES],
  ];
  const save = () => {
    saved = new Uint8Array(regions.flatMap(([from, to]) => [...rig.bytes.subarray(from, to)]));
  };
  const reset = () => {
    let at = 0;
    for (const [from, to] of regions) {
      rig.bytes.set(saved.subarray(at, at + to - from), from);
      at += to - from;
    }
  };
  return { rig, scene, mm: scene.mm(), reset, save };
}
