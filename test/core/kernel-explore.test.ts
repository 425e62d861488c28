// One kernel path beside a thread that stores or loads, faults and all, in every schedule of two preemptions: what the path promises holds when it has
// returned. Each promise is broken by the variant beside it, which some schedule shows.

import { describe, expect, test } from 'vitest';
import type { CoreExports } from '../support/core.ts';
import { layout } from '../support/core.ts';
import { makeStage, type Stage } from '../support/kernelstage.ts';
import { D, PAGE, PRIVATE, RW, SHARED, SOFT_DIRTY } from '../support/mm.ts';
import { type Call, interleaveBounded } from '../support/stepper.ts';

const VA = 0x400000n;
const LAST = VA + PAGE - 1n;
const NEW = layout.VM_SOFTDIRTY;
const PREEMPTIONS = 2;

/** What a scene has beside the mm: the CPU of the thread, and what the race notes. */
interface Race extends Stage {
  user: number;
  /** The word at VA of the frame that is mapped there first. */
  word: () => bigint;
  /** What the path left when it returned. */
  atReturn: bigint | undefined;
  /** What the thread loaded, and whether the path had returned when that load began. */
  loads: { value: bigint | undefined; after: boolean }[];
  /** What a thread that stores got: DONE, or a signal. */
  status: unknown;
  pfn: number;
  /** The folio of that frame. A call of a CPU is entered again for each step, so it may call one export only. */
  folio: number;
  file: number;
  /** What `prepare` made: another folio, or an mm; and a list of deferred flushes. */
  spare: number;
  list: number;
}

interface Scenario {
  /** Flags of the VMA, and the file behind it. */
  flags?: number;
  file?: boolean;
  policy?: number;
  /** After the thread has stored 7 to the page: the scene before the race. */
  prepare?: (race: Race) => void;
  thread: 'store' | 'loads';
  path: (race: Race, core: CoreExports) => unknown;
  /** Further steps of the path's CPU after `atReturn` was noted. */
  afterwards?: (race: Race, core: CoreExports) => unknown;
  /** False: the promise was broken. */
  holds: (race: Race) => boolean;
}

const pfnOf = (pte: bigint) => Number((pte >> 12n) & 0xffffffffffn);

async function makeRace(scenario: Scenario): Promise<Race> {
  const stage = await makeStage();
  const { rig, scene, mm } = stage;
  const file = scenario.file ? scene.file(1) : 0;
  if (file !== 0) rig.core.openStore(file);
  scene.vma(mm, VA, 1, scenario.flags ?? PRIVATE | NEW, file);
  const user = scene.cpu(1, layout.MACHINE_RECHECK, mm);
  rig.core.setHandler(user, scenario.policy ?? 0, 0);
  rig.core.handledStore(user, VA, 7n);
  const pfn = pfnOf(scene.pte(mm, VA));
  const race: Race = {
    ...stage,
    user,
    pfn,
    word: () => scene.word(pfn),
    atReturn: undefined,
    loads: [],
    status: undefined,
    file,
    folio: rig.core.folioAddress(pfn) >>> 0,
    spare: 0,
    list: 0,
  };
  scenario.prepare?.(race);
  scene.prepare();
  stage.save();
  return race;
}

/** The word that is mapped at VA in the end, whatever TLBs have; undefined after a signal. */
function finalWord({ rig, scene, user, mm }: Race): bigint | undefined {
  rig.core.flushMm(scene.self, mm, 0n, 0n, layout.REQUEST_ALL, false, 0);
  const reply = layout.AGENTS + rig.agent * layout.AGENT_BYTES + layout.AGENT_REPLY;
  return rig.core.handledLoad(user, VA) === layout.DONE ? scene.u64(reply) : undefined;
}

/** In how many schedules the promise holds, and in how many not. */
async function explore(scenario: Scenario): Promise<{ holds: number; broken: number }> {
  const race = await makeRace(scenario);
  const { rig, scene, user } = race;
  const reply = layout.AGENTS + rig.agent * layout.AGENT_BYTES + layout.AGENT_REPLY;
  const note =
    (what: () => void): Call =>
    () => {
      what();
      return undefined;
    };
  const load: Call[] = [
    note(() => race.loads.push({ value: undefined, after: race.atReturn !== undefined })),
    (core) => {
      const status = core.handledLoad(user, VA);
      return status;
    },
    note(() => {
      const last = race.loads.at(-1);
      if (last !== undefined) last.value = scene.u64(reply);
    }),
  ];
  const seen = { holds: 0, broken: 0 };
  interleaveBounded(
    () => {
      race.reset();
      race.atReturn = undefined;
      race.loads = [];
      const access: Call[] =
        scenario.thread === 'store' ? [(core) => core.handledStore(user, VA, 5n)] : [...load, ...load];
      return [
        rig.cpu(
          (core) => core.enterUser(user) as undefined,
          ...access,
          (core) => core.leaveUser(user) as undefined,
        ),
        rig.cpu(
          (core) => scenario.path(race, core) as undefined,
          note(() => {
            race.atReturn = race.word();
          }),
          (core) => scenario.afterwards?.(race, core) as undefined,
        ),
      ];
    },
    ([thread]) => {
      race.status = thread?.results[1];
      if (scenario.holds(race)) seen.holds++;
      else seen.broken++;
    },
    PREEMPTIONS,
  );
  return seen;
}

function holdsAndBarks(good: Scenario, twins: Record<string, Partial<Scenario>>): void {
  test('holds in every schedule', { timeout: 60_000 }, async () => {
    const { holds, broken } = await explore(good);
    expect({ broken }).toEqual({ broken: 0 });
    expect(holds).toBeGreaterThan(50);
  });
  for (const [name, twin] of Object.entries(twins)) {
    test(`caught: ${name}`, { timeout: 60_000 }, async () => {
      const { holds, broken } = await explore({ ...good, ...twin });
      expect(broken).toBeGreaterThan(0);
      expect(holds).toBeGreaterThan(0);
    });
  }
}

/** The path is given a reference, which goes with the page. */
const hold = ({ rig, pfn }: Race) => {
  rig.core.getFrame(pfn);
};

/** No store landed on the frame after the path had returned. */
const noStoreSince = (race: Race) => race.word() === race.atReturn;
/** Nothing was lost that the thread stored. */
const stored = (race: Race) => finalWord(race) === 5n;
/** Every load gave what was there or `gone`, and `gone` if the path had returned before: never what a free frame holds. */
const sees = (gone: bigint) => (race: Race) =>
  race.loads.every(({ value, after }) => value === gone || (value === 7n && !after));

describe('mprotect to read-only: when it has returned no store lands', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.mprotect(race.scene.self, race.mm, VA, LAST, layout.VM_READ, race.scene.path, options);
  holdsAndBarks(
    { thread: 'store', path: path(0), holds: noStoreSince },
    {
      'no flush': { path: path(layout.PATH_NO_FLUSH) },
    },
  );
});

describe('mprotect to writable: a store that ended by a signal was not made', () => {
  const prepare = ({ scene, rig, mm }: Race) => {
    scene.prepare();
    rig.core.mprotect(scene.self, mm, VA, LAST, layout.VM_READ, scene.path, 0);
  };
  const path = (race: Race, core: CoreExports) =>
    core.mprotect(race.scene.self, race.mm, VA, LAST, layout.VM_READ | layout.VM_WRITE, race.scene.path, 0);
  const holds = (race: Race) => race.word() === (race.status === layout.DONE ? 5n : 7n);
  holdsAndBarks({ thread: 'store', prepare, path, holds }, {});
});

describe('clear_refs: a store after it has returned is soft-dirty', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.clearRefs(race.scene.self, race.mm, VA, LAST, race.scene.path, options);
  const holds = (race: Race) => noStoreSince(race) || (race.scene.pte(race.mm, VA) & SOFT_DIRTY) !== 0n;
  holdsAndBarks(
    { thread: 'store', path: path(0), holds },
    {
      'the flush left to a gather that was told of nothing (D1)': { path: path(layout.CLEAR_REFS_GATHER) },
      'no flush': { path: path(layout.PATH_NO_FLUSH) },
    },
  );
});

describe('UFFDIO_WRITEPROTECT: when it has returned a store goes to the monitor', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.uffdWriteProtect(race.scene.self, race.mm, VA, LAST, race.scene.path, options);
  const flags = PRIVATE | NEW | layout.VM_UFFD_WP;
  holdsAndBarks(
    { thread: 'store', flags, path: path(0), holds: noStoreSince },
    {
      'no flush': { path: path(layout.PATH_NO_FLUSH) },
    },
  );
});

describe('MADV_DONTNEED: when it has returned a load sees zeros, and none ever sees a free frame', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.madviseDontNeed(race.scene.self, race.mm, VA, LAST, race.scene.path, options);
  /** Somebody else took the page out, has freed nothing yet, and owes the flush. */
  const prepare = ({ scene, rig, mm }: Race) => {
    scene.setPte(mm, VA, 0n);
    rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = 1;
  };
  holdsAndBarks(
    { thread: 'loads', path: path(0), holds: sees(0n) },
    {
      'pages are freed before the flush': { path: path(layout.PATH_FREE_EARLY) },
    },
  );
  describe('though another call took the page out first and has not flushed', () => {
    holdsAndBarks(
      { thread: 'loads', path: path(0), holds: sees(0n), prepare },
      {
        'it does not ask (J0)': { path: path(layout.PATH_NO_NESTED) },
      },
    );
  });
});

describe('munmap: no load sees a free frame, and none sees the page when it has returned', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.munmap(race.scene.self, race.mm, VA, LAST, race.scene.path, options);
  // A load that ends by a signal leaves what the reply block had.
  const holds = (race: Race) => race.loads.every(({ value, after }) => after || value === 7n || value === 0n);
  holdsAndBarks(
    { thread: 'loads', path: path(0), holds },
    {
      'pages are freed before the flush': { path: path(layout.PATH_FREE_EARLY) },
    },
  );
});

describe('the OOM reaper: no load sees a free frame', () => {
  const path =
    (options: number, shoot = 0) =>
    (race: Race, core: CoreExports) => {
      race.rig.u32[(race.scene.path + layout.PATH_SHOOT) / 4] = shoot;
      return core.reapMm(race.scene.self, race.mm, race.scene.path, options);
    };
  const elide = layout.SHOOT_ELIDE_FULLMM;
  holdsAndBarks(
    { thread: 'loads', path: path(0, elide), holds: sees(0n) },
    {
      'its gather is one of the whole mm, whose flush is elided (H1)': { path: path(layout.REAPER_FULLMM, elide) },
      'pages are freed before the flush': { path: path(layout.PATH_FREE_EARLY) },
    },
  );
});

describe('MADV_FREE, then reclaim: a store after MADV_FREE has returned keeps its page', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.madviseFree(race.scene.self, race.mm, VA, LAST, race.scene.path, options);
  // What came before it may be dropped.
  const holds = (race: Race) => race.atReturn === 5n || finalWord(race) === 5n;
  holdsAndBarks(
    { thread: 'store', prepare: hold, path: path(0), afterwards: reclaim(0), holds },
    {
      'no flush': {
        path: path(layout.PATH_NO_FLUSH),
        afterwards: reclaim(layout.RECLAIM_NO_FLUSH),
      },
    },
  );
});

function reclaim(options: number) {
  return (race: Race, core: CoreExports) => core.reclaimFolio(race.scene.self, race.folio, race.scene.path, options);
}
describe('reclaim: no store is lost', () => {
  holdsAndBarks(
    { thread: 'store', prepare: hold, path: reclaim(0), holds: stored },
    {
      'no flush before the page is written out (K3)': { path: reclaim(layout.RECLAIM_NO_FLUSH_DIRTY) },
    },
  );
});

describe('reclaim: no load sees a free frame', () => {
  holdsAndBarks(
    { thread: 'loads', prepare: hold, path: reclaim(0), holds: sees(7n) },
    {
      'no flush before it is freed (K4)': {
        path: (race, core) => {
          const done = reclaim(layout.RECLAIM_NO_FLUSH | layout.RECLAIM_NO_FLUSH_DIRTY)(race, core);
          return done;
        },
      },
    },
  );
});

describe('migration: no store is lost', () => {
  const path = (options: number) => (race: Race, core: CoreExports) => {
    race.rig.u32[(race.scene.path + layout.PATH_DEFERRED) / 4] = race.list;
    return core.migrateFolio(race.scene.self, race.folio, race.spare, race.scene.path, options);
  };
  const prepare = (race: Race) => {
    hold(race);
    race.spare = race.scene.newFolio().folio;
  };
  const deferred = (race: Race) => {
    prepare(race);
    race.list = race.rig.core.createDeferred(2, 0) >>> 0;
  };
  holdsAndBarks(
    { thread: 'store', prepare, path: path(0), holds: stored },
    {
      'the flush of a writable entry is put off (G9)': { prepare: deferred, path: path(layout.MIGRATE_DEFER_WRITABLE) },
    },
  );
});

describe('fork: when it has returned, what the parent stores is not the child’s', () => {
  const path = (shoot: number) => (race: Race, core: CoreExports) =>
    core.forkMm(race.scene.self, race.mm, race.spare, shoot);
  const prepare = (race: Race) => {
    race.spare = race.scene.mm();
  };
  const holds = (race: Race) => race.scene.word(pfnOf(race.scene.pte(race.spare, VA))) === race.atReturn;
  holdsAndBarks(
    { thread: 'store', prepare, path: path(0), holds },
    {
      'the flush is not waited for': { path: path(layout.SHOOT_POSTED) },
    },
  );
});

describe('write-back: a store is written, or the page or its entry is dirty', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.writeBackFolio(race.scene.self, race.folio, race.scene.path, options);
  const holds = ({ rig, scene, mm, folio, word }: Race) => {
    const written = scene.u64(scene.u32(folio + layout.FOLIO_BACKING)) === word();
    return written || (scene.flags(folio) & layout.PG_DIRTY) !== 0 || rig.core.pteDirty(scene.pte(mm, VA)) !== 0;
  };
  const flags = SHARED | NEW;
  holdsAndBarks(
    { thread: 'store', flags, file: true, path: path(0), holds },
    {
      'no flush': { path: path(layout.PATH_NO_FLUSH) },
    },
  );
});

describe('clean and record: a store after it has returned leaves its entry dirty', () => {
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.cleanRecordMapping(race.scene.self, race.file, 0n, 0n, race.scene.path, options);
  const holds = (race: Race) => noStoreSince(race) || (race.scene.pte(race.mm, VA) & D) !== 0n;
  holdsAndBarks(
    { thread: 'store', flags: SHARED | NEW, file: true, path: path(0), holds },
    {
      'no flush (B3)': { path: path(layout.PATH_NO_FLUSH) },
    },
  );
});

describe('KSM: no store to a page that it merges is lost', () => {
  /** Another page with the same words, merged with itself, is what the page is merged with. */
  const prepare = (race: Race) => {
    const { scene, rig, mm } = race;
    scene.vma(mm, VA + PAGE, 1, PRIVATE | NEW);
    const { folio } = scene.anon(mm, VA + PAGE, SOFT_DIRTY, 7n);
    scene.prepare();
    rig.core.mergePage(scene.self, mm, VA + PAGE, 0, scene.path, 0);
    race.spare = folio;
  };
  /** Two others have taken D and RW and not flushed: tlb_flush_pending tells. */
  const owed = (race: Race) => {
    prepare(race);
    const { scene, rig, mm } = race;
    scene.setPte(mm, VA, scene.pte(mm, VA) & ~(RW | D));
    rig.u32[(mm + layout.MM_FLUSH_PENDING) / 4] = 2;
  };
  const path = (options: number) => (race: Race, core: CoreExports) =>
    core.mergePage(race.scene.self, race.mm, VA, race.spare, race.scene.path, options);
  const holds = (race: Race) => finalWord(race) === 5n;
  holdsAndBarks({ thread: 'store', prepare, path: path(0), holds }, {});
  describe('though two others took its bits and have not flushed', () => {
    holdsAndBarks(
      { thread: 'store', prepare: owed, path: path(layout.KSM_NO_EXCLUSIVE), holds },
      {
        'it does not ask (E0)': { path: path(layout.KSM_NO_EXCLUSIVE | layout.KSM_NO_PENDING) },
      },
    );
  });
  describe('and no load sees a free frame', () => {
    holdsAndBarks(
      { thread: 'loads', prepare, path: path(0), holds: sees(7n) },
      {
        'replace_page() without a flush (E19)': { path: path(layout.KSM_REPLACE_NO_FLUSH) },
      },
    );
  });
});
