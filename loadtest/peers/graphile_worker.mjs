// graphile-worker (see loadtest/peers/__init__.py).
import { EventEmitter } from "node:events";
import { run } from "./kit.mjs";

process.env.NO_LOG_SUCCESS = "1"; // read while it is imported: else it writes a line for each job
const { makeWorkerUtils, run: runWorker, runMigrations, WorkerPreset } = await import("graphile-worker");

const TASK = "noop";
const CONCURRENCY = 24;
// Its NOTIFY lets one transaction commit at a time: more connections only wait for each other.
const QUEUING_CONNECTIONS = 4;

const preset = (worker = {}) => ({ extends: [WorkerPreset], worker: { connectionString: process.env.DATABASE_URL, ...worker } });

async function open() {
  const utils = await makeWorkerUtils({ preset: preset({ maxPoolSize: QUEUING_CONNECTIONS }) });
  return {
    add: (at) => utils.addJob(TASK, { at }),
    addMany: (count) => utils.addJobs(Array.from({ length: count }, () => ({ identifier: TASK, payload: { at: 0 } }))),
    close: () => utils.release(),
  };
}

async function work(reporter) {
  const events = new EventEmitter();
  // The last event of a job: it has gone to the next batch of deletes, whose own end nothing tells.
  events.on("job:complete", () => reporter.settled());
  const options = {
    concurrentJobs: CONCURRENCY,
    maxPoolSize: CONCURRENCY + 1,
    localQueue: { size: 2000 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  };
  await runWorker({ preset: preset(options), events, taskList: { [TASK]: async ({ at }) => reporter.started(at) } });
}

await run({ open, work, setup: () => runMigrations({ preset: preset() }) });
