//! Records by id and as connections; statements counted; tenants apart.
