"""Work that workers do, as rows that outlive them."""
