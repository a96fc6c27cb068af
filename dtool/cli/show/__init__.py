"""What commands show: tables, charts, pictures."""
