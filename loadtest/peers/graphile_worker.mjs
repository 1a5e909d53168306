// graphile-worker (see loadtest/peers/__init__.py).
import { EventEmitter } from "node:events";
import { makeWorkerUtils, run as runWorker, runMigrations, WorkerPreset } from "graphile-worker";
import { run } from "./kit.mjs";

const T = JSON.parse(process.env.TRY ?? "{}");
const TASK = "noop";
const preset = {
  extends: [WorkerPreset],
  worker: {
    connectionString: process.env.DATABASE_URL,
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    ...T,
  },
};

async function open() {
  const utils = await makeWorkerUtils({ preset });
  return {
    add: (at) => utils.addJob(TASK, { at }),
    addMany: (count) => utils.addJobs(Array.from({ length: count }, () => ({ identifier: TASK, payload: { at: 0 } }))),
    close: () => utils.release(),
  };
}

async function work(reporter) {
  const events = new EventEmitter();
  events.on("job:complete", () => reporter.settled());
  await runWorker({ preset, events, taskList: { [TASK]: async ({ at }) => reporter.started(at) } });
}

await run({ open, work, setup: () => runMigrations({ preset }) });
