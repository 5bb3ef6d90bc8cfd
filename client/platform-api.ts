// Made from control's OpenAPI document by `npm run generate:client`. Do not edit.

export interface components {
  schemas: {
    /** The operation, and the keys of the tenant to come. */
    AcceptedTenant: components['schemas']['Operation'] & {
      keys: components['schemas']['TenantKeys']
    }
    AccessGrant: {
      grant_id: string
      tenant_id: string
      requested_by: string
      reason: string
      minutes: number
      access: 'read' | 'write'
      status: 'pending' | 'approved' | 'denied' | 'ended' | 'expired'
      requested_at: string
      decided_at: string | null
      decided_by: string | null
      expires_at: string | null
      uses: number
      last_used_at: string | null
    }
    Alert: {
      alert_id: string
      kind: string
      severity: 'info' | 'warning' | 'critical'
      tenant_id: string | null
      detail: string
      /** Alerts of one cause share it, and are told together. */
      group: string
      /** Facts behind the detail, for programs. */
      attributes: { [name: string]: unknown }
      status: 'open' | 'resolved'
      opened_at: string
      last_seen_at: string
      resolved_at: string | null
    }
    /** What is named must be equal; at least one must be. */
    AlertMatcher: {
      kind?: string
      severity?: 'info' | 'warning' | 'critical'
      tenant_id?: string
      group?: string
    }
    AuditEntry: {
      seq: number
      at: string
      actor: string
      action: string
      target: string
      before?: unknown
      after?: unknown
      address: string | null
      request_id: string | null
      previous_hash: string
      /** SHA-256 over the entry and the hash of the one before it. */
      hash: string
    }
    Backend: {
      backend_id: string
      name: string
      url: string
      pipelining: number
      created_at: string
    }
    ClosedMonth: {
      month: string
      closed: number
      /** Tenants that could not be invoiced: run it again once the reason is gone. */
      failed: ({
        tenant_id: string
        code: string
        detail: string
      })[]
    }
    CreateBackend: {
      name: string
      url: string
      pipelining?: number
    }
    CreatePlatformKey: {
      name: string
      role: 'owner' | 'operator' | 'billing' | 'viewer'
      expires_at?: string | null
    }
    CreateSilence: {
      matcher: components['schemas']['AlertMatcher']
      /** Now, where it is not given. */
      starts_at?: string
      ends_at: string
      reason: string
    }
    CreateTenant: {
      name: string
      plan?: string
      region?: string
      isolation?: 'schema' | 'database' | 'cluster'
      backend?: string
    }
    CreateWebhook: {
      url: string
      description?: string | null
      events?: ('tenant.created' | 'tenant.updated' | 'tenant.deleted' | 'tenant.restored' | 'tenant.purged' | 'tenant_key.created' | 'tenant_key.rotated' | 'tenant_key.revoked' | 'tenant_jwt.updated' | 'operation.failed' | 'access_grant.requested' | 'access_grant.approved' | 'access_grant.denied' | 'access_grant.ended' | 'alert.opened' | 'alert.resolved' | 'webhook.test')[]
    }
    CreatedTenant: components['schemas']['Tenant'] & {
      keys: components['schemas']['TenantKeys']
    }
    Credit: {
      tenant_id: string
      key: string
      reason: string
      amount_micros: number
      used_micros: number
      created_at: string
    }
    Customer: {
      tenant_id: string
      name: string | null
      address: (string)[]
      email: string | null
      tax_id: string | null
    }
    DeclareMaintenance: {
      tenant_id?: string | null
      /** Now, where it is not given. */
      starts_at?: string
      ends_at: string
      reason: string
    }
    Estimate: {
      currency: string
      isolation: 'schema' | 'database' | 'cluster'
      data: ({
        plan: string
        title: string
        offers_isolation: boolean
        exceeded_quotas: (string)[]
        lines: (components['schemas']['InvoiceLine'])[]
        total_micros: number
        total: string
      })[]
    }
    EstimateRequest: {
      usage?: {
        api_requests?: number
        egress_bytes?: number
        ingress_bytes?: number
        /** Held on average; as are file_storage_bytes and realtime_connections. */
        storage_bytes?: number
        file_storage_bytes?: number
        realtime_messages?: number
        realtime_connections?: number
        /** Of a server that never sleeps unless given. */
        compute_seconds?: number
      }
      isolation?: 'schema' | 'database' | 'cluster'
    }
    Invoice: {
      invoice_id: string | null
      number: string | null
      month: string
      state: 'draft' | 'issued' | 'paid' | 'void'
      currency: string
      total: string
      total_micros: number
    }
    /** `pay`: a `note`. `void`: a `reason`. `credit-notes`: a `reason`, and `amount_micros` (all that is left without). */
    InvoiceAct: {
      note?: string | null
      reason?: string | null
      amount_micros?: number
    }
    InvoiceLine: {
      kind: string
      description: string
      amount_micros: number
    }
    IsolationFinding: {
      /** Stable; the rule that is broken. */
      code: string
      severity: 'critical' | 'high' | 'medium'
      tenant: {
        tenant_id: string
        name: string | null
      } | null
      server: string
      object: string
      what: string
      remedy: string
    }
    IsolationReport: {
      version: 1
      audited_at: string
      duration_ms: number
      ok: boolean
      servers: ({
        server: string
        database: string
        tenants: number
        tables: number
        statements: number
      })[]
      canary: 'passed' | 'failed' | 'not_probed'
      rules: ({
        code: string
        promise: string
        findings: number
      })[]
      findings: (components['schemas']['IsolationFinding'])[]
      unlisted: number
      accepted: (components['schemas']['IsolationFinding'])[]
    }
    IsolationReportKey: {
      kty: string
      crv: string
      x: string
      kid: string
      alg: string
      use: string
    }
    ListedOperation: components['schemas']['Operation'] & {
      tenant_name: string
    }
    ListedTenant: components['schemas']['Tenant'] & {
      /** As of some seconds ago; the usage document is exact. */
      api_requests_this_month: number
    }
    MaintenanceWindow: {
      window_id: string
      /** `null`: the whole platform. */
      tenant_id: string | null
      starts_at: string
      ends_at: string
      reason: string
      state: 'scheduled' | 'running' | 'over'
      created_at: string
    }
    NameAvailability: {
      name: string
      available: boolean
      /** The rules that it breaks; empty when it is free. */
      reasons: (string)[]
    }
    Operation: {
      operation_id: string
      tenant_id: string
      kind: 'create' | 'delete' | 'restore' | 'purge' | 'move'
      status: 'running' | 'succeeded' | 'failed'
      step: string | null
      error?: {
        code: string
        detail: string
      }
      created_at: string
      deadline_at: string
      finished_at: string | null
    }
    Overview: {
      /** Purged tenants are not counted; deleted ones are, under their status only. */
      tenants: {
        total: number
        by_plan: { [name: string]: number }
        by_status: { [name: string]: number }
        by_isolation: { [name: string]: number }
      }
      storage: {
        documents_bytes: number
        files_bytes: number
      }
      operations: {
        under_way: number
        failed_last_day: number
      }
      alerts: {
        open: number
        critical: number
      }
      as_of: string
    }
    /** JSON Merge Patch (RFC 7396): `null` takes an override away, back to the plan's. */
    PatchTenant: {
      plan?: string
      quotas?: {
        storage_bytes?: number | null
        api_requests_per_month?: number | null
        file_storage_bytes?: number | null
        realtime_connections?: number | null
        requests_per_second?: number | null
      } | null
      status?: 'active' | 'suspended'
      isolation?: 'schema' | 'database' | 'cluster'
      backend?: string | null
      public_status?: boolean
    }
    PatchedTenant: components['schemas']['Tenant'] & {
      /** Of the move that the patch has begun. */
      operation_id?: string
    }
    Plan: {
      id: string
      title: string
      quotas: {
        storage_bytes: number | null
        api_requests_per_month: number | null
        file_storage_bytes: number | null
        realtime_connections: number | null
        requests_per_second: number | null
      }
      isolations: ('schema' | 'database' | 'cluster')[]
      /** Memory that a server of the tenant's own may use (of a cluster: each node), from its next start. */
      server_memory_bytes?: {
        schema?: number
        database?: number
        cluster?: number
      }
      retention_days: number
      sla: {
        uptime: number | null
        downtime_seconds_per_month: number | null
        /** What is given back of the month's fees once the uptime is below a step. */
        credits?: ({
          below: number
          percent: number
        })[]
      }
      base_fee_micros: number
      isolation_surcharge_micros: {
        schema?: number
        database?: number
        cluster?: number
      }
      minimum_micros?: number
      meters: { [name: string]: {
        included: number
        per: number
        price_micros: number
        tiers?: ({
          above: number
          price_micros: number
        })[]
      } }
    }
    PlatformDays: {
      data: ({
        at: string
        requests: number
        /** By class of status, such as `2xx`. */
        by_status: { [name: string]: number }
        /** Failed through a fault of the platform (502, 503, 504). */
        faults: number
        egress_bytes: number
        ingress_bytes: number
        /** Of a request, from its head to the end of its answer. */
        average_ms: number | null
      })[]
    }
    PlatformKey: {
      key_id: string
      name: string
      role: 'owner' | 'operator' | 'billing' | 'viewer'
      hint: string
      created_at: string
      expires_at: string | null
      last_used_at: string | null
    }
    Problem: {
      type: string
      title: string
      status: number
      detail?: string
      instance: string
      /** Stable; what programs decide on. */
      code: string
      request_id: string
      errors?: ({
        path: string
        message: string
      })[]
    }
    Quotas: {
      storage_bytes: number | null
      api_requests_per_month: number | null
      file_storage_bytes: number | null
      realtime_connections: number | null
      requests_per_second: number | null
    }
    RequestAccess: {
      reason: string
      minutes: number
      access?: 'read' | 'write'
    }
    Revenue: {
      currency: string
      data: ({
        month: string
        state: 'open' | 'over'
        invoices: number
        invoiced_micros: number
        credited_micros: number
        paid_micros: number
        /** Of the open month: what its invoices come to so far, added up every quarter of an hour. */
        drafts: {
          tenants: number
          total_micros: number
          by_plan: ({
            plan: string
            tenants: number
            total_micros: number
          })[]
          as_of: string
        } | null
      })[]
    }
    Session: {
      key_id: string
      name: string
      role: 'owner' | 'operator' | 'billing' | 'viewer'
      /** What the role may see and change, by area. */
      rights: { [name: string]: {
        see: boolean
        act: boolean
      } }
      /** When the session, or the key, runs out. */
      expires_at: string | null
    }
    SetCustomer: {
      name: string
      address?: (string)[]
      email?: string | null
      tax_id?: string | null
    }
    SetTenantJwt: {
      secret?: string | null
      jwks_url?: string | null
      issuer?: string | null
      audience?: string | null
    }
    SharedServer: {
      server: string
      tenants: number
      /** Tenants that it takes at most. */
      capacity: number
      /** What its tenants store, as last sampled. */
      documents_bytes: number
      max_connections: number
      /** It takes no further tenants, and those that it has are moved to others. It is empty once `tenants` is 0. */
      draining: boolean
    }
    /** With the key itself, shown this once. */
    ShownPlatformKey: components['schemas']['PlatformKey'] & {
      key: string
    }
    /** With the key itself, shown this once. */
    ShownTenantKey: components['schemas']['TenantKey'] & {
      key: string
    }
    /** With the signing secret, shown this once. */
    ShownWebhook: components['schemas']['Webhook'] & {
      secret: string
    }
    Silence: {
      silence_id: string
      matcher: components['schemas']['AlertMatcher']
      starts_at: string
      ends_at: string
      reason: string
      created_at: string
    }
    SlaReport: {
      tenant_id: string
      month: string
      period: {
        start: string
        end: string
      }
      as_of: string
      /** The month is over and measured for good: it does not change any more. */
      final: boolean
      /** Of the measured time; cut after six digits, never rounded up. */
      uptime: number | null
      uptime_percent: string | null
      measured_seconds: number
      downtime_seconds: number
      /** In declared maintenance windows: it does not count. */
      maintenance_downtime_seconds: number
      /** When no prober looked: counted neither as up nor as down. */
      unobserved_seconds: number
      target: {
        plan: string
        /** The promised part of the month; `null`: best effort. */
        uptime: number | null
        /** What the promise leaves room for this month. */
        allowed_downtime_seconds: number | null
      } | null
      met: boolean | null
      plans: ({
        plan: string
        /** The promised part of the month; `null`: best effort. */
        uptime: number | null
        /** What the promise leaves room for this month. */
        allowed_downtime_seconds: number | null
        served_seconds: number
        downtime_seconds: number
        met: boolean | null
        credit_percent: number
      })[]
      incidents: ({
        incident_id: string
        cause: string
        detail: string
        started_at: string
        ended_at: string | null
        downtime_seconds: number
        maintenance_seconds: number
      })[]
      credit: {
        currency: string
        amount_micros: number
        /** The highest step of the plan's schedule that was reached. */
        percent: number
        /** `handed_over`: billing puts it on the next invoice. */
        status: 'none' | 'estimated' | 'pending' | 'handed_over'
      }
    }
    Spend: {
      tenant_id: string
      month: string
      currency: string | null
      total_micros: number
      alerts_micros: (number)[]
      cap_micros: number | null
      cap_reached: boolean
    }
    SpendLimits: {
      alerts_micros?: (number)[]
      cap_micros?: number | null
    }
    Status: {
      /** `null`: the whole platform. */
      tenant: string | null
      status: 'operational' | 'degraded_performance' | 'partial_outage' | 'major_outage' | 'under_maintenance' | 'suspended' | 'unknown'
      as_of: string
      uptime: number | null
      days: ({
        date: string
        uptime: number | null
        downtime_seconds: number
      })[]
      /** A tenant's; the platform's page shows none. */
      incidents: ({
        started_at: string
        ended_at: string | null
        duration_seconds: number
      })[]
      maintenance: ({
        starts_at: string
        ends_at: string
        reason: string
      })[]
    }
    Tenant: {
      tenant_id: string
      name: string
      plan: string
      region: string
      isolation: 'schema' | 'database' | 'cluster'
      status: 'provisioning' | 'active' | 'suspended' | 'migrating' | 'paused' | 'deleting' | 'deleted' | 'failed'
      database_url: string
      quotas: components['schemas']['Quotas']
      /** What of the quotas is the tenant's own. */
      quota_overrides: {
        storage_bytes?: number | null
        api_requests_per_month?: number | null
        file_storage_bytes?: number | null
        realtime_connections?: number | null
        requests_per_second?: number | null
      }
      usage: {
        storage_bytes: number
        file_storage_bytes: number
        storage_exceeded: boolean
        file_storage_exceeded: boolean
      }
      backend: string | null
      /** Whether anybody may see `/status/{name}`. */
      public_status: boolean
      created_at: string
      updated_at: string
      deleted_at: string | null
      purge_after: string | null
    }
    TenantJwt: {
      has_secret: boolean
      jwks_url: string | null
      issuer: string | null
      audience: string | null
    }
    TenantKey: {
      key_id: string
      kind: 'anon' | 'service'
      hint: string
      created_at: string
      expires_at: string | null
      replaced_by: string | null
      /** Requests per second with this key, beside the tenant's own limit; `null`: only the tenant's. */
      rate_limit: number | null
    }
    /** Shown once. */
    TenantKeys: {
      anon: string
      service: string
    }
    TenantNode: {
      node: number
      role: 'primary' | 'standby' | 'rebuilding'
      state: 'serving' | 'streaming' | 'catching_up' | 'down'
      /** Before the primary acknowledges a commit, one of these has it on its disk. */
      is_in_quorum: boolean
      /** How much log its readers do not see yet. */
      lag_bytes: number | null
      lag_seconds: number | null
    }
    Upgrades: {
      target: {
        /** Schemas, roles, event triggers: what control lays down. */
        objects_version: number
        /** Tables that backends make for tenants; `null` while no backend can be asked. */
        tables_version: number | null
      }
      tenants: {
        total: number
        current: number
        due: number
        /** They sleep, and are upgraded once they run. */
        paused: number
        /** Tried again after ten minutes. */
        failed: number
      }
      failures: ({
        tenant_id: string
        name: string
        error: string
        failed_at: string
      })[]
    }
    Usage: {
      tenant_id: string
      month: string
      period: {
        start: string
        end: string
      }
      resources: {
        api_requests: {
          total: number
          billable: number
          by_status: { [name: string]: number }
          by_endpoint: ({
            method: string
            endpoint: string
            status: number
            count: number
          })[]
        }
        storage: {
          documents_bytes: number
          files_bytes: number
          byte_hours: number
        }
        egress: {
          bytes: number
        }
        ingress: {
          bytes: number
        }
        realtime: {
          peak_connections: number
          average_connections: number
          messages: number
        }
        compute: {
          seconds: number
        }
      }
      quotas: {
        storage_bytes: number | null
        api_requests_per_month: number | null
        file_storage_bytes: number | null
        realtime_connections: number | null
        requests_per_second: number | null
      }
      as_of: string
    }
    UsagePoint: {
      at: string
      /** The sum of what was counted; the peak of what was held. */
      value: number
      /** Of what was held. */
      average?: number
      /** Requests by class of status, such as `2xx`. */
      by_status?: { [name: string]: number }
    }
    UsageSeries: {
      tenant_id: string
      resource: string
      step: 'hour' | 'day'
      data: (components['schemas']['UsagePoint'])[]
      as_of: string
    }
    Webhook: {
      webhook_id: string
      url: string
      description: string | null
      /** Empty: all. */
      events: (string)[]
      created_at: string
      disabled_at: string | null
    }
    WebhookDelivery: {
      message_id: string
      type: string
      status: 'pending' | 'delivered' | 'failed'
      attempts: number
      last_status: number | null
      last_error: string | null
      next_attempt_at: string | null
      created_at: string
    }
  }
}

export interface paths {
  "/v1/alerts": {
    /** List alerts, newest first */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
          status?: 'open' | 'resolved'
          tenant_id?: string
          kind?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['Alert'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/audit-log": {
    /** Who changed what, newest first */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
          target?: string
          action?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['AuditEntry'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/audit-log/verification": {
    /** Check the chain of hashes from its beginning */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          intact: boolean
          first_broken_seq: number | null
        } } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/backends": {
    /** List the registered backends */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['Backend'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Register a further HTTP upstream */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['CreateBackend'] } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Backend'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/backends/{backend_id}": {
    /** Forget a backend, by its id or name */
    delete: {
      parameters: {
        query?: never
        header?: never
        path: {
          backend_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/invoices": {
    /** List the invoices and credit notes of all tenants, the newest first; drafts are not among them */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
          month?: string
          state?: 'draft' | 'issued' | 'paid' | 'void'
          kind?: 'invoice' | 'credit_note'
          tenant_id?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['Invoice'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/invoices/close": {
    /** Close a month for all tenants; rerunnable */
    post: {
      parameters: {
        query?: {
          month?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['ClosedMonth'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/invoices/{invoice_id}": {
    /** An invoice or credit note by its id: JSON, CSV or PDF by `Accept` or `format` */
    get: {
      parameters: {
        query?: {
          format?: 'json' | 'csv' | 'pdf'
        }
        header?: never
        path: {
          invoice_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Invoice']; "text/csv": string; "application/pdf": string } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/invoices/{invoice_id}/{act}": {
    /** Mark an invoice as paid or void, or correct it by a credit note */
    post: {
      parameters: {
        query?: never
        header?: never
        path: {
          invoice_id: string
          act: 'pay' | 'void' | 'credit-notes'
        }
        cookie?: never
      }
      requestBody?: { content: { "application/json": components['schemas']['InvoiceAct'] } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Invoice'] } }
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Invoice'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/isolation-audit": {
    /** The last report of the tenant isolation audit, signed */
    get: {
      parameters: {
        query?: {
          tenant_id?: string
          fresh?: 'true' | 'false'
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          report: components['schemas']['IsolationReport']
          jws: string
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/isolation-audit/keys": {
    /** The public key that reports are signed with, as a JWK set */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          keys: (components['schemas']['IsolationReportKey'])[]
        } } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/maintenance-windows": {
    /** List maintenance windows, newest first */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
          tenant_id?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['MaintenanceWindow'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Declare maintenance, of a tenant or of the whole platform */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['DeclareMaintenance'] } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['MaintenanceWindow'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/maintenance-windows/{window_id}": {
    /** End a maintenance window */
    delete: {
      parameters: {
        query?: never
        header?: never
        path: {
          window_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/metrics": {
    /** What this control process measures, for Prometheus */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "text/plain": string } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/operations": {
    /** List operations, newest first */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
          status?: 'running' | 'succeeded' | 'failed'
          kind?: 'create' | 'delete' | 'restore' | 'purge' | 'move'
          tenant_id?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['ListedOperation'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/operations/{operation_id}": {
    /** Read an operation */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          operation_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Operation'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/overview": {
    /** The whole platform in figures */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Overview'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/plans": {
    /** List the plans with their prices */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          currency: string
          default_plan: string
          data: (components['schemas']['Plan'])[]
          next_cursor: null
        } } }
      }
    }
  }
  "/v1/platform-keys": {
    /** List the platform keys that are good now */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['PlatformKey'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Make a platform key */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['CreatePlatformKey'] } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['ShownPlatformKey'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/platform-keys/{key_id}": {
    /** Revoke a platform key at once */
    delete: {
      parameters: {
        query?: never
        header?: never
        path: {
          key_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/pricing/estimate": {
    /** What a usage would cost on each plan */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['EstimateRequest'] } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Estimate'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/revenue": {
    /** What each month brings in, the newest first */
    get: {
      parameters: {
        query?: {
          months?: number
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Revenue'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/servers": {
    /** List the servers of the shared tier and how full they are */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['SharedServer'])[]
          next_cursor: string | null
        } } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/servers/{server}": {
    /** Drain a server of the shared tier, or take it into use again */
    patch: {
      parameters: {
        query?: never
        header?: never
        path: {
          server: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": {
          draining: boolean
        } } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['SharedServer'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/session": {
    /** Who the caller is, and what it may do */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Session'] } }
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Sign a browser in with a platform key */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": {
          key: string
        } } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Session'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Sign the browser out */
    delete: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/silences": {
    /** List silences, newest first */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['Silence'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Have alerts not told for a while */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['CreateSilence'] } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Silence'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/silences/{silence_id}": {
    /** End a silence now */
    delete: {
      parameters: {
        query?: never
        header?: never
        path: {
          silence_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/status": {
    /** Status of the platform */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Status'] } }
      }
    }
  }
  "/v1/status/{name}": {
    /** Status of a tenant that has opened its status page */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          name: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Status'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/stripe/webhook": {
    /** Where Stripe tells of invoices that were paid or voided there */
    post: {
      parameters: {
        query?: never
        header: {
          "stripe-signature": string
        }
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          received: boolean
          applied: boolean
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenant-names/{name}": {
    /** Whether a name can be given to a new tenant */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          name: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['NameAvailability'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants": {
    /** List tenants, newest first */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
          /** A part of the name. */
          name?: string
          plan?: string
          status?: 'provisioning' | 'active' | 'suspended' | 'migrating' | 'paused' | 'deleting' | 'deleted' | 'failed'
          isolation?: 'schema' | 'database' | 'cluster'
          sort?: 'created_at' | 'name' | 'plan' | 'status' | 'isolation' | 'storage' | 'api_requests'
          /** Texts ascend, the rest descends by itself. */
          order?: 'asc' | 'desc'
          /** `true`: also how many there are in all. */
          count?: 'true' | 'false'
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['ListedTenant'])[]
          next_cursor: string | null
          total?: number
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Create a tenant */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['CreateTenant'] } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['CreatedTenant'] } }
        202: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['AcceptedTenant'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        501: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}": {
    /** Read a tenant */
    get: {
      parameters: {
        query?: never
        header?: {
          "if-none-match"?: string
        }
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Tenant'] } }
        304: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Delete a tenant */
    delete: {
      parameters: {
        query?: {
          purge?: 'true' | 'false'
        }
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        202: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Operation'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Change a tenant (JSON Merge Patch) */
    patch: {
      parameters: {
        query?: never
        header?: {
          "if-match"?: string
        }
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/merge-patch+json": components['schemas']['PatchTenant']; "application/json": components['schemas']['PatchTenant'] } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['PatchedTenant'] } }
        202: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Operation'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        412: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        501: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/access-grants": {
    /** List the requests for access to a tenant's data */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
        }
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['AccessGrant'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Ask a tenant for access to its data */
    post: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['RequestAccess'] } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['AccessGrant'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/access-grants/{grant_id}": {
    /** Read a request for access */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          grant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['AccessGrant'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Give access back, or take a request back */
    delete: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          grant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/credits": {
    /** What the tenant is given back by its coming invoices, and how much of it is used */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['Credit'])[]
          next_cursor: null
        } } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/credits/{key}": {
    /** Give something back by the tenant's next invoice, once for one key */
    put: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          key: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": {
          reason: string
          amount_micros: number
        } } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Credit'] } }
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Credit'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/customer": {
    /** Whom the tenant's invoices name */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Customer'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Set whom the tenant's invoices name from now on: name, address, e-mail, tax id, in any language */
    put: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['SetCustomer'] } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Customer'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/export": {
    /** Export a tenant's data as SQL for psql */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/sql": string } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/invoices": {
    /** List the invoices of a tenant, drafts first */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
          month?: string
          state?: 'draft' | 'issued' | 'paid' | 'void'
          kind?: 'invoice' | 'credit_note'
        }
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['Invoice'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/invoices/{month}": {
    /** The invoice of a month: JSON, CSV or PDF by `Accept` or `format` */
    get: {
      parameters: {
        query?: {
          format?: 'json' | 'csv' | 'pdf'
        }
        header?: never
        path: {
          tenant_id: string
          month: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Invoice']; "text/csv": string; "application/pdf": string } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/jwt": {
    /** Read how the tenant's JWTs are verified */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['TenantJwt'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Set how the tenant's JWTs are verified */
    put: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['SetTenantJwt'] } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['TenantJwt'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/keys": {
    /** List a tenant's keys */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['TenantKey'])[]
          next_cursor: string | null
        } } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Make a further key */
    post: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": {
          kind: 'anon' | 'service'
          /** Requests per second with this key, beside the tenant's own limit; `null`: only the tenant's. */
          rate_limit?: number | null
        } } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['ShownTenantKey'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/keys/{key_id}": {
    /** Revoke a key at once */
    delete: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          key_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Set a key's own rate limit; it is in force at every gateway at once */
    patch: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          key_id: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": {
          /** Requests per second with this key, beside the tenant's own limit; `null`: only the tenant's. */
          rate_limit: number | null
        }; "application/merge-patch+json": {
          /** Requests per second with this key, beside the tenant's own limit; `null`: only the tenant's. */
          rate_limit: number | null
        } } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['TenantKey'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/keys/{key_id}/rotate": {
    /** Replace a key; the old one runs out after an overlap */
    post: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          key_id: string
        }
        cookie?: never
      }
      requestBody?: { content: { "application/json": {
          overlap_seconds?: number
        } } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['ShownTenantKey'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/ledger": {
    /** A month of the tenant's ledger as CSV, streamed: what its usage and invoices are sums of */
    get: {
      parameters: {
        query?: {
          month?: string
        }
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "text/csv": string } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/nodes": {
    /** List the nodes of a cluster tenant, each with its role and how far it is behind */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['TenantNode'])[]
          next_cursor: string | null
        } } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/restore": {
    /** Restore a deleted tenant */
    post: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        202: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Operation'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/sla": {
    /** Measured uptime of the current month */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['SlaReport'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/sla/{month}": {
    /** Measured uptime of a month (UTC) */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          month: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['SlaReport'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/spend": {
    /** What the tenant has spent this month, and its limits */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Spend'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/spend-limits": {
    /** Set amounts to be told of, and a cap that suspends the tenant */
    put: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['SpendLimits'] } }
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Spend'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/usage": {
    /** Usage of the current month */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Usage'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/usage-series": {
    /** Usage over a range of days, for charts */
    get: {
      parameters: {
        query: {
          resource?: 'api_requests' | 'egress' | 'ingress' | 'realtime_messages' | 'compute_seconds' | 'documents_bytes' | 'files_bytes' | 'realtime_connections'
          step?: 'hour' | 'day'
          /** Of `api_requests` by day. */
          by?: 'status'
          from: string
          to: string
        }
        header?: never
        path: {
          tenant_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['UsageSeries'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/usage/{month}": {
    /** Usage of a month (UTC) */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          tenant_id: string
          month: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Usage'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/tenants/{tenant_id}/usage/{month}/series": {
    /** A month's usage over time, for charts */
    get: {
      parameters: {
        query?: {
          resource?: 'api_requests' | 'egress' | 'ingress' | 'realtime_messages' | 'compute_seconds' | 'documents_bytes' | 'files_bytes' | 'realtime_connections'
          step?: 'hour' | 'day'
          /** Of `api_requests` by day. */
          by?: 'status'
        }
        header?: never
        path: {
          tenant_id: string
          month: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['UsageSeries'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/upgrades": {
    /** How far the tenants' own objects are upgraded to this release */
    get: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['Upgrades'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/usage-series": {
    /** Requests of all tenants by day */
    get: {
      parameters: {
        query: {
          from: string
          to: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['PlatformDays'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        503: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/webhooks": {
    /** List webhooks */
    get: {
      parameters: {
        query?: {
          limit?: number
          cursor?: string
        }
        header?: never
        path?: never
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['Webhook'])[]
          next_cursor: string | null
        } } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
    /** Have events sent to a URL */
    post: {
      parameters: {
        query?: never
        header?: never
        path?: never
        cookie?: never
      }
      requestBody: { content: { "application/json": components['schemas']['CreateWebhook'] } }
      responses: {
        201: { headers: { [name: string]: unknown }; content: { "application/json": components['schemas']['ShownWebhook'] } }
        400: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        409: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        413: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        415: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        422: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/webhooks/{webhook_id}": {
    /** Remove a webhook */
    delete: {
      parameters: {
        query?: never
        header?: never
        path: {
          webhook_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        204: { headers: { [name: string]: unknown }; content?: never }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        403: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
  "/v1/webhooks/{webhook_id}/deliveries": {
    /** The last deliveries of a webhook */
    get: {
      parameters: {
        query?: never
        header?: never
        path: {
          webhook_id: string
        }
        cookie?: never
      }
      requestBody?: never
      responses: {
        200: { headers: { [name: string]: unknown }; content: { "application/json": {
          data: (components['schemas']['WebhookDelivery'])[]
          next_cursor: string | null
        } } }
        401: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        404: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
        429: { headers: { [name: string]: unknown }; content: { "application/problem+json": components['schemas']['Problem'] } }
      }
    }
  }
}
