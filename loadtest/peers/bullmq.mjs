// BullMQ (see loadtest/peers/__init__.py).
import { Queue, Worker } from "bullmq";
import IORedis from "ioredis";
import { run } from "./kit.mjs";

const QUEUE = "bench";
const CONCURRENCY = 100;
const connect = () => new IORedis(process.env.REDIS_URL, { maxRetriesPerRequest: null });

async function open() {
  const connection = connect();
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } });
  return {
    add: (at) => queue.add("noop", { at }),
    addMany: (count) => queue.addBulk(Array.from({ length: count }, () => ({ name: "noop", data: { at: 0 } }))),
    close: async () => {
      await queue.close();
      await connection.quit();
    },
  };
}

async function work(reporter) {
  const handler = async (job) => reporter.started(job.data.at);
  const worker = new Worker(QUEUE, handler, { connection: connect(), concurrency: CONCURRENCY, removeOnComplete: { count: 0 } });
  worker.on("completed", () => reporter.settled());
  worker.on("error", (error) => console.error(error));
}

await run({ open, work });
