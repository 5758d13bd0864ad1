// What happens outside the browser: a chat platform posts webhooks, a bot calls tools, the vendor has good and bad days.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';

export class World {
  constructor(facts) {
    this.facts = facts;
    this.store = new DatabaseSync(`${facts.directory}/frontdesk.db`, { timeout: 5_000 });
    this.second = 0;
  }

  /** A link to sign in with. */
  link(person, role) {
    const { program, directory, console: url } = this.facts;
    const command = ['console', 'login', '--json', '--url', url, '--as', person, '--role', role];
    const said = execFileSync(program, [...command, '--config', 'frontdesk.toml'], { cwd: directory });
    const link = JSON.parse(said);
    assert.equal(link.role, role);
    return link.url;
  }

  sign(body) {
    return createHmac('sha256', this.facts.webhookSecret).update(body).digest('hex');
  }

  /** Posts a webhook, signed unless `headers` say otherwise. */
  async post(source, body, headers = { 'x-webhook-signature': this.sign(body) }) {
    const answer = await fetch(`${this.facts.base}/webhooks/${source}`, {
      method: 'POST', body, headers: { 'content-type': 'application/json', ...headers },
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  payload(event, conversationId, more = {}) {
    const metadata = { agentConfidence: 0.32, escalationReason: 'customer_requested', resolved: true };
    const messages = [
      { role: 'user', content: `The parcel of ${conversationId} is lost` },
      { role: 'assistant', content: 'One moment.' },
    ];
    this.second += 1;
    return JSON.stringify({
      event, timestamp: new Date(Date.UTC(2026, 2, 30) + this.second * 1000).toISOString(),
      data: { conversationId, customerId: 'cus_ada', customerEmail: 'ada@example.com', messages, metadata, ...more },
    });
  }

  async escalate(conversation, source = 'chatbot', more = {}) {
    assert.equal(await this.post(source, this.payload('conversation.escalated', conversation, more)), 200);
  }

  async end(conversation) {
    assert.equal(await this.post('chatbot', this.payload('conversation.ended', conversation)), 200);
  }

  /** A call of a tool in a conversation of Ada's. */
  async call(tool, args, conversation = 'conv_1') {
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      iss: 'https://backend.example.com', aud: 'frontdesk', sub: 'cus_ada', iat: now, exp: now + 600, lvl: 'verified',
      azp: 'agent-1', cid: conversation, email: 'ada@example.com', email_verified: true, jti: `${now}`,
    };
    const signed = `${part({ alg: 'HS256', typ: 'cctx+jwt' })}.${part(claims)}`;
    const signature = createHmac('sha256', this.facts.contextSecret).update(signed).digest('base64url');
    const answer = await fetch(`${this.facts.base}/tools/${tool}`, {
      method: 'POST', body: JSON.stringify(args),
      headers: { 'content-type': 'application/json', 'customer-context': `${signed}.${signature}` },
    });
    return answer.json();
  }

  /** Whether the vendor takes what it would refuse. */
  async vendorIsWell(well) {
    await fetch(`${this.facts.vendor}/control/${well ? 'well' : 'ill'}`, { method: 'POST' });
  }

  rows(sql, ...values) {
    return this.store.prepare(sql).all(...values);
  }

  /** Changes the store by hand, for what no sender can bring about. */
  change(sql, ...values) {
    this.store.prepare(sql).run(...values);
  }

  /** The events of conversations whose id begins so, oldest first. */
  events(prefix) {
    return this.rows('SELECT id, state, in_doubt, receipt, error FROM events WHERE conversation GLOB ? ORDER BY id',
      `${prefix}*`);
  }

  /** Waits until the events of these conversations are in this state. */
  async until(prefix, state, count) {
    for (let n = 0; n < 400; n += 1) {
      const events = this.events(prefix);
      if (events.length === count && events.every((event) => event.state === state)) return events;
      await pause(25);
    }
    throw new Error(`${prefix} is not ${state}: ${JSON.stringify(this.events(prefix))}`);
  }

  /** Events that the vendor has refused, each in a conversation of its own. */
  async refused(prefix, count, source = 'chatbot') {
    await this.vendorIsWell(false);
    for (let n = 0; n < count; n += 1) await this.escalate(`conv_refused_${prefix}_${n}`, source);
    const events = await this.until(`conv_refused_${prefix}_`, 'dead', count);
    await this.vendorIsWell(true);
    return events.map((event) => event.id);
  }

  /** Events whose effect nobody knows. */
  async inDoubt(prefix, count) {
    await this.vendorIsWell(false);
    for (let n = 0; n < count; n += 1) await this.escalate(`conv_doubt_${prefix}_${n}`);
    const events = await this.until(`conv_doubt_${prefix}_`, 'dead', count);
    assert.ok(events.every((event) => event.in_doubt), JSON.stringify(events));
    await this.vendorIsWell(true);
    return events.map((event) => event.id);
  }

  /** What a first look at a desk at work would find. */
  async fill() {
    await this.call('lookup_order', { order_id: '1001' });
    await this.call('lookup_order', { order_id: '2001' });
    await this.call('lookup_order', { order_id: '5000' });
    await this.call('search_articles', { query: 'return an item' });
    await this.vendorIsWell(true);
    for (let n = 0; n < 55; n += 1) await this.end(`conv_done_${n}`);
    await Promise.all(Array.from({ length: 60 }, (_, n) => this.call('lookup_order', { order_id: '1001' }, `conv_done_${n % 55}`)));
    await this.call('create_ticket', { subject: 'Lost', description: 'It is lost' });
    await this.escalate('conv_1');
    await this.escalate('conv_later_1');
    // The same occurrence with other bytes.
    const told = this.payload('conversation.ended', 'conv_1');
    assert.equal(await this.post('chatbot', told), 200);
    assert.equal(await this.post('chatbot', told.replace('lost', 'found')), 409);
    assert.equal(await this.post('chatbot', JSON.stringify({ event: 'conversation.escalated', data: {} })), 422);
    assert.equal(await this.post('chatbot', '{"event":"conversation.liked"}'), 200);
    assert.equal(await this.post('chatbot', this.payload('conversation.ended', 'x'), { 'x-webhook-signature': 'ab' }), 401);
    await this.refused('tour', 3);
    await this.refused('tour-escalation', 2, 'escalation');
    await this.inDoubt('tour', 1);
    await this.until('conv_done_', 'done', 55);
  }
}
