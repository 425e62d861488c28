// @ts-check
// Two threads over one memory: the main thread maps while a worker translates the same tables.
import { Worker } from 'node:worker_threads';
import { hex, PhysicalMemory } from 'pagewalk';

const memory = await PhysicalMemory.create({ sizeBytes: 64 * 2 ** 20 });
const space = memory.createAddressSpace();

const worker = new Worker(
  `const { parentPort, workerData } = require('node:worker_threads');
   import('pagewalk').then(async ({ AddressSpace, PhysicalMemory }) => {
     const memory = await PhysicalMemory.join(workerData.memory);
     const space = AddressSpace.at(memory, workerData.space);
     let walks = 0;
     let found;
     do {
       found = space.translate(0x7123);
       if (walks++ === 0) parentPort.postMessage('walking');
     } while (found.kind === 'fault');
     memory.dispose();
     parentPort.postMessage(found);
   });`,
  { eval: true, workerData: { memory: memory.share(), space: space.handle } },
);

worker.on('message', (message) => {
  // The worker has seen that nothing is mapped: now something is.
  if (message === 'walking') space.map(0x7000, 0xabc000, 4096, { read: true });
  else {
    console.log('the worker found', hex(message.pa));
    space.dispose();
    memory.dispose();
  }
});

/* Prints:
the worker found 0xabc123
*/
