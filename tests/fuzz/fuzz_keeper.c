/*
 * Frames into a real, unlocked keeper. An input is a sequence of actions:
 *
 *   0 to 15     a raw frame of that operation: u16 length, body; but
 *   11          batches are recovered: u8 how many before the last one, or 255 and a raw body
 *   16          alice touches for a privileged operation: 4 bytes
 *   17          a privileged operation is to be carried out: 4 bytes
 *   18          bob's hardware key is enrolled
 *   19          what can be done between messages: u8 slices
 *   20          bob touches for a privileged operation: 4 bytes
 *   21 to 255   a batch of well-formed entries over a few ids: u8 count, from 128 on without
 *               acknowledging the last one, then 8 bytes an entry
 *
 * Whatever is sent: the keeper answers every frame with a frame, the one provider key in the vault
 * appears in an answer only next to the record of a lease, no privileged operation happens without
 * a touch for exactly it, and the operators can open the vault.
 */
#include "unit/keeper_people.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRESH_AFTER 500 /* inputs: the keyring and the logs only grow */

static const char canary[] = "sk-canary-0123456789abcdefghijWXYZ";
static struct rig *rig;
static unsigned inputs;

enum { ALICE, BOB };
static struct id bobs_enrolment;
static uint8_t touched[64][32]; /* operations that somebody touched for */
static size_t touched_count;
static uint8_t sealed[LIMIT_SEALED_KEY];
static size_t sealed_n;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void begin(void)
{
    rig = rig_new();
    rig_init(rig);
    rig_entry(rig, (struct wire_entry){ .kind = ENTRY_VAULT_CREATED });
    rig_tenant(rig, rig_id(0), rig_id(0));
    must(rig_put(rig, rig_id(0), rig_id(0), rig_id(0), 1, canary) == OK);
    sealed_n = rig->result.data.n;
    memcpy(sealed, rig->data, sealed_n);
    must(rig_batch(rig, NULL, 0) == OK);
    touched_count = 0;
    bobs_enrolment = (struct id){ { 0 } };
}

static void end(void)
{
    rig_free(rig);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    must(secret_start((size_t)4 << 20, NULL) == OK);
    begin();
    return atexit(end);
}

static bool contains(struct span in, const char *text)
{
    return memmem(in.p, in.n, text, strlen(text)) != NULL;
}

/* Sends what rig->out holds and looks at the answer. */
static status exchange(void)
{
    struct wire_header h;

    wire_finish(&rig->out);
    must(!rig->out.overflow);
    keeper_answer(rig->k, span_of(rig->out.p, rig->out.n),
                  (struct mspan){ rig->reply, sizeof(rig->reply) }, &rig->reply_n);
    struct span reply = span_of(rig->reply, rig->reply_n);
    must(!contains(reply, canary) || contains(reply, "\"type\":\"lease.issued\"") ||
         contains(reply, "\"type\":\"lease.repeated\""));
    rig->body = in_of(reply);
    wire_get_header(&rig->body, &h);
    must(!rig->body.bad && h.number == rig->number);
    return (status)h.status;
}

static void send_raw(struct in *in, uint8_t op)
{
    uint16_t length = in_u16(in);
    struct span body = in_raw(in, length < in->n ? length : in->n);

    out_raw(rig_begin(rig, op), body);
    exchange();
}

/* What comes back has no key in it, and is of the batch that was asked for or a later one. */
static void recover(struct in *in)
{
    uint8_t back = in_u8(in);
    uint64_t after = back < rig->ack ? rig->ack - back : 0;

    if (back == 255) {
        send_raw(in, WIRE_RECOVER);
        return;
    }
    out_u64(rig_begin(rig, WIRE_RECOVER), after);
    if (exchange() != OK)
        return;
    must(!contains(span_of(rig->reply, rig->reply_n), canary));
    must(in_u64(&rig->body) >= after);
}

static struct wire_entry entry_of(struct in *in)
{
    static const char *const fields[] = { "", ",\"actor\":\"x\"", ",\"key_id\":\"x\"", "\"" };
    struct wire_entry m = { .kind =
                                (uint8_t)(ENTRY_RECORD + in_u8(in) % (ENTRY_VAULT_CREATED + 1)) };
    uint8_t ids = in_u8(in);
    uint8_t more = in_u8(in);

    if (m.kind == ENTRY_APPROVE) /* see below */
        m.kind = ENTRY_DATABASE_REKEYED;
    m.tenant = rig_id(ids & 3);
    m.log = m.tenant;
    m.engagement = rig_id(ids >> 2 & 3);
    m.key = rig_id(ids >> 4 & 3);
    m.version = ids >> 6;
    m.gateway = rig_id(more & 3);
    m.provider = more & 4 ? 3 : 2;
    m.fields = span_text(fields[more >> 3 & 3]);
    m.data = more & 32 ? span_of(sealed, sealed_n) : span_of(sealed, more);
    m.reason = in_u8(in);
    m.type = in_u16(in);
    uint8_t last = in_u8(in);
    m.outcome = last % 4;
    if (last & 4) /* sealed, sometimes to a key of zeros: in clear */
        memset(m.seal_to, last >> 3, sizeof(m.seal_to));
    m.expires_us = RIG_START_US * (uint64_t)(more >> 6);
    m.lease = rig->result.lease;
    memcpy(m.lease_mac, rig->result.lease_mac, sizeof(m.lease_mac));
    rig_pass(in_u8(in) * 3600U);
    return m;
}

static void send_batch(struct in *in)
{
    uint8_t how = in_u8(in);
    size_t count = how % 17;
    struct out *o = rig_begin(rig, WIRE_BATCH);

    out_u64(o, rig->ack - (how >= 128 && rig->ack > 0));
    out_u16(o, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        struct wire_entry m = entry_of(in);
        wire_put_entry(o, &m);
    }
    if (exchange() == OK)
        must(rig_take_batch(rig) == count);
}

/* --- privileged operations ------------------------------------------------------------------- */

static struct wire_operation operation_of(struct in *in)
{
    struct wire_operation m = { .code = (uint8_t)(1 + in_u8(in) % OPERATION_GRANT_ADD) };
    uint8_t ids = in_u8(in);

    m.id = rig_id(ids & 3);
    m.operator_name = span_text("bob");
    if (m.code == OPERATION_OPERATOR_ADD)
        m.slot = bobs_enrolment;
    memcpy(m.public_key, rig->key_seeds[BOB], 32);
    m.number = in_u8(in);
    box_public(SPAN(rig_card_private), m.recovery_key);
    m.tenant = rig_id(ids >> 2 & 3);
    m.engagement = rig_id(ids >> 4 & 3);
    m.gateway = rig_id(ids >> 6);
    m.key = span_text("*");
    m.max_ttl_s = in_u8(in);
    return m;
}

static bool is_open(void)
{
    return rig_hello(rig).state == KEEPER_UNLOCKED && rig_hello(rig).heads_loaded &&
           !rig_hello(rig).batch_pending;
}

static void touch(struct in *in, size_t key)
{
    struct wire_operation m = operation_of(in);

    if (!is_open() || people_approve(rig, key, &m) != OK)
        return;
    people_hash(&m, touched[touched_count++ % 64]);
    must(rig_batch(rig, NULL, 0) == OK);
}

static bool was_touched(const struct wire_operation *m)
{
    uint8_t hash[32];
    bool found = false;

    people_hash(m, hash);
    for (size_t i = 0; i < 64 && i < touched_count; i++)
        found = found || memcmp(touched[i], hash, 32) == 0;
    return found;
}

static void carry_out(struct in *in)
{
    struct wire_operation m = operation_of(in);

    if (!is_open())
        return;
    if (people_carry_out(rig, &m) == OK) {
        must(was_touched(&m));
        if (m.code == OPERATION_OPERATOR_ADD)
            rig->slots[BOB] = bobs_enrolment;
    }
    must(rig_batch(rig, NULL, 0) == OK);
}

/* The rig would take it for his slot; it is, once it was added. */
static void enrol(void)
{
    struct id slot = rig->slots[BOB];

    if (people_enrol(rig, BOB, "bob") == OK)
        bobs_enrolment = rig->slots[BOB];
    rig->slots[BOB] = slot;
}

static void work(struct in *in)
{
    for (uint8_t slices = in_u8(in); slices > 0 && keeper_work(rig->k); slices--)
        ;
}

/* --- one input ------------------------------------------------------------------------------- */

/* Alice, and bob if he is needed. */
static void unlock(void)
{
    must(rig_share(rig, ALICE, NULL) == OK);
    if (rig_hello(rig).state == KEEPER_LOCKED)
        must(rig_share(rig, BOB, NULL) == OK);
    must(rig_hello(rig).state == KEEPER_UNLOCKED);
    must(rig_load_heads(rig) == OK);
}

/* Back to the state in which an input begins: unlocked, acknowledged. */
static void settle(void)
{
    struct wire_hello hello = rig_hello(rig);

    must(hello.state == KEEPER_LOCKED || hello.state == KEEPER_UNLOCKED);
    /* The oldest first; behind the last of them there is one without anything. */
    for (rig->ack = 0; hello.batch_pending;) {
        out_u64(rig_begin(rig, WIRE_RECOVER), rig->ack);
        must(exchange() == OK);
        if (rig_take_batch(rig) == 0)
            break;
    }
    if (hello.state == KEEPER_LOCKED)
        unlock();
    must(rig_batch(rig, NULL, 0) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct in in = in_of(span_of(data, size));

    if (size > 8192)
        return 0;
    if (++inputs % FRESH_AFTER == 0) {
        rig_free(rig);
        begin();
    }
    while (in.n > 0 && !in.bad) {
        uint8_t action = in_u8(&in);
        switch (action) {
        case WIRE_RECOVER: recover(&in); break;
        case 16: touch(&in, ALICE); break;
        case 17: carry_out(&in); break;
        case 18: enrol(); break;
        case 19: work(&in); break;
        case 20: touch(&in, BOB); break;
        default:
            if (action <= WIRE_ENROL)
                send_raw(&in, action);
            else
                send_batch(&in);
        }
    }
    settle();
    return 0;
}
