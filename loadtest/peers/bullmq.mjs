// The two verbs of a peer (see loadtest/peers/__init__.py) for BullMQ.
import { Queue, Worker } from "bullmq";
import IORedis from "ioredis";

const QUEUE = "bench";
const CONCURRENCY = 100;
const CHUNK = 500;
const [verb, count] = [process.argv[2], Number(process.argv[3])];
const seconds = () => performance.now() / 1000;
const connect = () => new IORedis(process.env.REDIS_URL, { maxRetriesPerRequest: null });

async function fill() {
  const connection = connect();
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } });
  for (let done = 0; done < count; done += CHUNK) {
    const jobs = Array.from({ length: Math.min(CHUNK, count - done) }, () => ({ name: "noop", data: { n: 1 } }));
    await queue.addBulk(jobs);
  }
  await queue.close();
  await connection.quit();
}

async function drain() {
  const connection = connect();
  let settled = 0;
  let first = 0;
  const begun = seconds();
  const worker = new Worker(QUEUE, async () => ({}), { connection, concurrency: CONCURRENCY, removeOnComplete: { count: 0 } });
  worker.on("error", (error) => console.error(error));
  const last = await new Promise((resolve) => {
    worker.on("completed", () => {
      settled += 1;
      first ||= seconds();
      if (settled === count) resolve(seconds());
    });
  });
  process.stdout.write(JSON.stringify({ count: settled, begun, first, last, resident_bytes: process.memoryUsage().rss }));
  await worker.close();
  await connection.quit();
}

await { fill, drain }[verb]();
