-- Money is integer minor units (cents; yen have none) beside an ISO 4217 code. Times are UTC text, so they sort.
-- What can be derived is not stored: the views at the end work it out at each read.
BEGIN IMMEDIATE;

DROP VIEW IF EXISTS order_states;
DROP VIEW IF EXISTS customer_states;
DROP VIEW IF EXISTS invoice_states;
DROP TABLE IF EXISTS answers;
DROP TABLE IF EXISTS operations;
DROP TABLE IF EXISTS invoices;
DROP TABLE IF EXISTS orders;
DROP TABLE IF EXISTS payments;
DROP TABLE IF EXISTS customers;

CREATE TABLE customers (
  id                    TEXT PRIMARY KEY,
  tenant                TEXT NOT NULL,
  name                  TEXT NOT NULL,
  email                 TEXT NOT NULL,
  phone                 TEXT NOT NULL,
  country               TEXT NOT NULL,
  store_credit_minor    INTEGER NOT NULL CHECK (store_credit_minor >= 0),
  store_credit_currency TEXT NOT NULL,
  created_at            TEXT NOT NULL,
  internal_risk_band    TEXT NOT NULL,
  internal_notes        TEXT NOT NULL
) STRICT;

CREATE TABLE payments (
  id                   TEXT PRIMARY KEY,
  tenant               TEXT NOT NULL,
  order_id             TEXT NOT NULL,
  customer_id          TEXT NOT NULL,
  status               TEXT NOT NULL CHECK (status IN ('succeeded', 'failed')),
  currency             TEXT NOT NULL,
  amount_minor         INTEGER NOT NULL CHECK (amount_minor > 0),
  refunded_minor       INTEGER NOT NULL CHECK (refunded_minor BETWEEN 0 AND amount_minor),
  card_last4           TEXT NOT NULL,
  failure_code         TEXT,
  failure_message      TEXT,
  created_at           TEXT NOT NULL,
  internal_gateway_ref TEXT NOT NULL
) STRICT;
CREATE INDEX payments_newest ON payments (tenant, created_at, id);

CREATE TABLE orders (
  id                    TEXT PRIMARY KEY,
  tenant                TEXT NOT NULL,
  customer_id           TEXT NOT NULL,
  payment_id            TEXT NOT NULL,
  currency              TEXT NOT NULL,
  total_minor           INTEGER NOT NULL CHECK (total_minor > 0),
  shipped               INTEGER NOT NULL CHECK (shipped IN (0, 1)),
  cancelled             INTEGER NOT NULL CHECK (cancelled IN (0, 1)),
  placed_at             TEXT NOT NULL,
  lines                 TEXT NOT NULL,
  shipping_address      TEXT NOT NULL,
  address_version       INTEGER NOT NULL,
  customer_note         TEXT NOT NULL,
  internal_margin_minor INTEGER NOT NULL,
  internal_fraud_score  INTEGER NOT NULL,
  internal_notes        TEXT NOT NULL,
  CHECK (NOT (shipped AND cancelled))
) STRICT;
CREATE INDEX orders_of_customer ON orders (customer_id);

CREATE TABLE invoices (
  id          TEXT PRIMARY KEY,
  tenant      TEXT NOT NULL,
  customer_id TEXT NOT NULL,
  order_id    TEXT NOT NULL,
  number      TEXT NOT NULL,
  currency    TEXT NOT NULL,
  total_minor INTEGER NOT NULL,
  tax_minor   INTEGER NOT NULL,
  issued_at   TEXT NOT NULL,
  lines       TEXT NOT NULL
) STRICT;
CREATE INDEX invoices_newest ON invoices (tenant, customer_id, issued_at, id);

-- The ledger: one row for each write that happened, in the order of commits.
CREATE TABLE operations (
  seq             INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  tenant          TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  kind            TEXT NOT NULL
                  CHECK (kind IN ('refund', 'cancel', 'address_change', 'store_credit', 'store_credit_reversal')),
  reference       TEXT NOT NULL,
  reason          TEXT,
  resource_id     TEXT NOT NULL,
  amount_minor    INTEGER CHECK (amount_minor > 0),
  currency        TEXT,
  reverses        TEXT UNIQUE,
  created_at      TEXT NOT NULL,
  -- Even with the code in front of it broken, one key cannot move money twice.
  UNIQUE (tenant, idempotency_key)
) STRICT;
CREATE INDEX operations_by_reference ON operations (tenant, reference);
CREATE TRIGGER ledger_keeps_its_rows BEFORE DELETE ON operations
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_keeps_its_words BEFORE UPDATE ON operations
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- What was answered to an idempotency key, refusals included, so that it can be answered again.
CREATE TABLE answers (
  tenant          TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  fingerprint     TEXT NOT NULL,
  status          INTEGER NOT NULL,
  body            TEXT NOT NULL,
  PRIMARY KEY (tenant, idempotency_key)
) STRICT;

CREATE VIEW order_states AS
SELECT o.*, p.refunded_minor,
       CASE WHEN o.cancelled THEN 'cancelled'
            WHEN p.refunded_minor >= o.total_minor THEN 'refunded'
            WHEN p.refunded_minor > 0 THEN 'partially_refunded'
            WHEN o.shipped THEN 'shipped'
            ELSE 'paid' END AS status
FROM orders o JOIN payments p ON p.id = o.payment_id;

CREATE VIEW customer_states AS
SELECT c.*, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS orders_count
FROM customers c;

CREATE VIEW invoice_states AS
SELECT i.*, CASE WHEN o.cancelled THEN 'void' ELSE 'paid' END AS status
FROM invoices i JOIN orders o ON o.id = i.order_id;
