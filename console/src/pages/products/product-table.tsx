import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Archive, ArchiveRestore, Ellipsis, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";

import { callEmpty, client } from "@/api/client";
import { showDone } from "@/layout/toasts";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/dialog";
import { Menu, MenuContent, MenuItem, MenuTrigger } from "@/ui/menu";
import { Switch } from "@/ui/switch";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import { changeProduct, type Product } from "./queries";

export function ProductTable({ products: rows, isStale }: { products: readonly Product[]; isStale: boolean }) {
  const { products } = useTexts("products");
  const [deleting, setDeleting] = useState<Product | null>(null);
  const { columns } = products;
  return (
    <div className="rounded-lg border bg-card data-[stale=true]:opacity-60" data-stale={isStale} aria-busy={isStale}>
      <Table aria-label={products.list}>
        <TableHeader>
          <TableRow>
            <TableHead>{columns.product}</TableHead>
            <TableHead className="text-right">{columns.price}</TableHead>
            <TableHead>{columns.available}</TableHead>
            <TableHead>
              <span className="sr-only">{columns.actions}</span>
            </TableHead>
          </TableRow>
        </TableHeader>
        <TableBody>
          {rows.map((product) => (
            <ProductRow key={product.id} product={product} onDelete={() => setDeleting(product)} />
          ))}
        </TableBody>
      </Table>
      {deleting && <DeleteDialog product={deleting} onClose={() => setDeleting(null)} />}
    </div>
  );
}

function ProductRow({ product, onDelete }: { product: Product; onDelete: () => void }) {
  const format = useFormat();
  const { products } = useTexts("products");
  return (
    <TableRow>
      <TableCell className="max-w-40 sm:max-w-md">
        <Link
          from="/products"
          to="/products"
          search={(previous) => ({ ...previous, product: product.id })}
          className="block font-medium [overflow-wrap:anywhere] underline-offset-4 hover:underline"
        >
          <bdi>{product.name}</bdi>
        </Link>
        {product.description !== null && (
          <span dir="auto" className="line-clamp-2 text-muted-foreground [overflow-wrap:anywhere]">
            {product.description}
          </span>
        )}
      </TableCell>
      <TableCell className="text-right whitespace-nowrap tabular-nums">{format.money(product.price, product.currency)}</TableCell>
      <TableCell>
        {product.archived_at === null ? <AvailabilitySwitch product={product} /> : <Badge variant="outline">{products.archived}</Badge>}
      </TableCell>
      <TableCell className="text-right">
        <RowMenu product={product} onDelete={onDelete} />
      </TableCell>
    </TableRow>
  );
}

/** Flips at once; a refusal flips it back and says why. */
function AvailabilitySwitch({ product }: { product: Product }) {
  const { products } = useTexts("products");
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (available: boolean) => changeProduct(product.id, { available }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["products"] }),
  });
  return (
    <Switch
      aria-label={products.offered(product.name)}
      checked={change.isPending ? change.variables : product.available}
      onCheckedChange={(available) => change.mutate(available)}
    />
  );
}

function RowMenu({ product, onDelete }: { product: Product; onDelete: () => void }) {
  const { products, common } = useTexts("products");
  const queries = useQueryClient();
  const navigate = useNavigate({ from: "/products" });
  const isArchived = product.archived_at !== null;
  const archive = useMutation({
    mutationFn: () => changeProduct(product.id, { archived: !isArchived }),
    onSuccess: () => showDone(isArchived ? products.restoredDone(product.name) : products.archivedDone(product.name)),
    onSettled: () => void queries.invalidateQueries({ queryKey: ["products"] }),
  });
  return (
    <Menu>
      <MenuTrigger asChild>
        <Button variant="ghost" size="icon" aria-label={products.actionsFor(product.name)}>
          <Ellipsis aria-hidden />
        </Button>
      </MenuTrigger>
      <MenuContent align="end">
        <MenuItem onSelect={() => void navigate({ search: (previous) => ({ ...previous, product: product.id }) })}>
          <Pencil aria-hidden />
          {common.edit}
        </MenuItem>
        <MenuItem onSelect={() => archive.mutate()}>
          {isArchived ? <ArchiveRestore aria-hidden /> : <Archive aria-hidden />}
          {isArchived ? products.restore : products.archive}
        </MenuItem>
        {!isArchived && (
          <MenuItem onSelect={onDelete} className="text-destructive">
            <Trash2 aria-hidden />
            {common.delete}
          </MenuItem>
        )}
      </MenuContent>
    </Menu>
  );
}

function DeleteDialog({ product, onClose }: { product: Product; onClose: () => void }) {
  const { products, common } = useTexts("products");
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => callEmpty(client.DELETE("/api/v1/products/{id}", { params: { path: { id: product.id } } })),
    onSuccess: () => showDone(products.deleted(product.name)),
    onSettled: () => {
      onClose();
      void queries.invalidateQueries({ queryKey: ["products"] });
    },
  });
  return (
    <ConfirmDialog
      title={products.deleteTitle(product.name)}
      text={products.deleteText(product.name)}
      confirm={common.delete}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    />
  );
}
