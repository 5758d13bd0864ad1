// Lets a program that knows no tokens send one: every HTTP/1.1 request over plain TCP gets the bearer token of the
// environment variable TOKEN, whatever library the program sends with.
// Usage: node --import ./with_token.mjs PROGRAM
import net from 'node:net';

const header = `authorization: Bearer ${process.env.TOKEN}\r\n`;
const write = net.Socket.prototype.write;
net.Socket.prototype.write = function (chunk, ...rest) {
  if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) {
    const text = chunk.toString('latin1');
    const head = /^(GET|POST|DELETE|PUT|OPTIONS|HEAD) [^\r\n]+ HTTP\/1\.1\r\n/.exec(text);
    if (head) {
      const more = text.slice(0, head[0].length) + header + text.slice(head[0].length);
      return write.call(this, Buffer.from(more, 'latin1'), ...rest.filter((part) => typeof part === 'function'));
    }
  }
  return write.call(this, chunk, ...rest);
};
