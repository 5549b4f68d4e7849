// The core of Weave's public API from its npm client: what is said and read back, as one line of JSON.
import {Dataset, Evaluation, StringPrompt, init, op, weaveImage} from 'weave';

const client = await init('local/from-node');

const embed = op(async function embed(text) {
  return [text.length];
});
const answer = op(async function answer(question) {
  return {text: question.toUpperCase(), size: await embed(question)};
});
const fail = op(async function fail(reason) {
  throw new Error(reason);
});
const see = op(async function see(image) {
  return 'seen';
});

for (const question of ['a', 'bb', 'ccc']) await answer(question);
await fail('no').catch(() => {});
const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
await see(weaveImage({data: Buffer.from(pixel, 'base64')}));

const prompt = await client.publish(new StringPrompt({content: 'Say {word}'}), 'saying');
const rows = [
  {question: 'x', expected: 'X'},
  {question: 'yy', expected: 'no'},
];
const dataset = new Dataset({name: 'pairs', rows});
const right = op(function right({modelOutput, datasetRow}) {
  return modelOutput.text === datasetRow.expected;
});
const evaluation = new Evaluation({name: 'ev', dataset, scorers: [right]});
const summary = await evaluation.evaluate({model: op(async function model({datasetRow}) {
  return answer(datasetRow.question);
})});
await client.waitForBatchProcessing();

const calls = await client.getCalls({op_names: ['weave:///local/from-node/op/answer:*']});
const roots = await client.getCalls({trace_roots_only: true});
const one = await client.getCall(calls[0].id);
console.log(
  'answers:' +
    JSON.stringify({
      answers: calls.map(call => call.output.text).sort(),
      roots: roots.length,
      one: one.output.text,
      summary: summary.right,
      prompt: (await client.get(prompt)).content,
    })
);
process.exit(0);
