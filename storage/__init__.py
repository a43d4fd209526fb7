"""Tables, migrations and queries. Nothing else in Nexus knows SQL.

`projection.write_projection` writes what a workflow decided; the modules named
after what they read (`instances`, `history`, `dashboard`, `timers`,
`definitions`, `idempotency`) are functions over a `scope.TenantSession`, which
adds the tenant to every query by itself.
"""
