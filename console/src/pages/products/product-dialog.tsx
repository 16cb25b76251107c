import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useId, useState } from "react";
import { Controller, useForm, type UseFormReturn } from "react-hook-form";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";
import { FormError } from "@/layout/form-error";
import { ErrorState, LoadingState } from "@/layout/states";
import { showDone } from "@/layout/toasts";
import { draftOr, dropDraft, readDraft, useDraft } from "@/lib/draft";
import { showFieldErrors } from "@/lib/forms";
import { defined } from "@/lib/search";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input, Textarea } from "@/ui/input";
import { Switch } from "@/ui/switch";

import { bodyOf, productSchema, type ProductValues, valuesOf } from "./form";
import { changeProduct, type Product, productQuery } from "./queries";

/** The form of a product, over the list. `id` is of the address: a product, or `new`. */
export function ProductDialog({ id }: { id: string }) {
  const { products } = useTexts("products");
  const { tenant } = useCompany();
  const product = useQuery({ ...productQuery(id), enabled: id !== "new", staleTime: 0 });
  const close = useClose();
  if (id === "new") {
    const values: ProductValues = { name: "", price: "", currency: tenant.currency, description: "", available: true };
    return <ProductForm title={products.createTitle} draftName="product.new" initial={values} />;
  }
  // A list's row may be older than the product: the form waits for the product itself.
  if (product.data && !product.isFetching) {
    return <ProductForm title={products.editTitle} draftName={`product.${id}`} initial={valuesOf(product.data)} product={product.data} />;
  }
  return (
    <Dialog title={products.editTitle} onClose={close}>
      {product.isError ? <ErrorState error={product.error} onRetry={() => void product.refetch()} /> : <LoadingState rows={3} />}
    </Dialog>
  );
}

function useClose() {
  const navigate = useNavigate({ from: "/products" });
  return () => void navigate({ search: (previous) => defined({ ...previous, product: undefined }) });
}

interface ProductFormProps {
  title: string;
  draftName: string;
  initial: ProductValues;
  product?: Product;
}

function ProductForm({ title, draftName, initial, product }: ProductFormProps) {
  const all = useTexts("products");
  const { products, common } = all;
  const formId = useId();
  const [hadDraft, setHadDraft] = useState(() => readDraft(draftName) !== null);
  const form = useForm<ProductValues>({ resolver: zodResolver(productSchema(all)), defaultValues: draftOr(draftName, initial) });
  useDraft(draftName, form);
  const close = useClose();
  const save = useSave(form, draftName, product, close);
  const beginAnew = () => {
    form.reset(initial);
    dropDraft(draftName);
    setHadDraft(false);
  };
  return (
    <Dialog
      title={title}
      onClose={close}
      actions={
        <>
          <Button
            variant="outline"
            onClick={() => {
              dropDraft(draftName);
              close();
            }}
          >
            {common.cancel}
          </Button>
          <Button type="submit" form={formId} isBusy={save.isPending}>
            {common.save}
          </Button>
        </>
      }
    >
      <form id={formId} noValidate className="grid grid-cols-1 gap-4" onSubmit={(event) => void form.handleSubmit((values) => save.mutate(values))(event)}>
        {hadDraft && (
          <Alert role="status">
            <span className="min-w-0 flex-1 basis-40">{products.draft}</span>
            <Button size="sm" variant="outline" onClick={beginAnew}>
              {products.discardDraft}
            </Button>
          </Alert>
        )}
        <ProductFields form={form} isArchived={(product?.archived_at ?? null) !== null} />
        <SaveError error={save.error} />
      </form>
    </Dialog>
  );
}

function ProductFields({ form, isArchived }: { form: UseFormReturn<ProductValues>; isArchived: boolean }) {
  const { products } = useTexts("products");
  const { errors } = form.formState;
  const switchId = useId();
  const { ref, ...name } = form.register("name");
  // The browser's dialog puts the focus on what has this attribute, else on its first button, which closes it.
  const focusFirst = (input: HTMLInputElement | null) => {
    ref(input);
    input?.setAttribute("autofocus", "");
  };
  return (
    <>
      <Field label={products.name} error={errors.name?.message}>
        {(control) => <Input {...control} dir="auto" maxLength={200} autoComplete="off" {...name} ref={focusFirst} />}
      </Field>
      <div className="grid grid-cols-[minmax(0,1fr)_7rem] items-start gap-3">
        <Field label={products.price} error={errors.price?.message}>
          {(control) => <Input {...control} inputMode="decimal" maxLength={20} autoComplete="off" {...form.register("price")} />}
        </Field>
        <Field label={products.currency} error={errors.currency?.message}>
          {(control) => <Input {...control} maxLength={3} autoComplete="off" className="uppercase" {...form.register("currency")} />}
        </Field>
      </div>
      <Field label={products.description} isOptional hint={products.descriptionHint} error={errors.description?.message}>
        {(control) => <Textarea {...control} dir="auto" maxLength={2000} className="max-h-60" {...form.register("description")} />}
      </Field>
      {!isArchived && (
        <div className="flex items-center gap-3">
          <Controller
            control={form.control}
            name="available"
            render={({ field }) => <Switch id={switchId} ref={field.ref} checked={field.value} onCheckedChange={field.onChange} onBlur={field.onBlur} />}
          />
          <label htmlFor={switchId} className="text-sm font-medium">
            {products.offer}
          </label>
        </div>
      )}
    </>
  );
}

function useSave(form: UseFormReturn<ProductValues>, draftName: string, product: Product | undefined, close: () => void) {
  const { products } = useTexts("products");
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (values: ProductValues) => {
      const body = bodyOf(values);
      if (product !== undefined) return changeProduct(product.id, product.archived_at === null ? body : { ...body, available: false });
      return (await call(client.POST("/api/v1/products", { body }))).data;
    },
    onSuccess: () => {
      dropDraft(draftName);
      showDone(product === undefined ? products.createdDone : products.saved);
      close();
    },
    onError: (error) => showFieldErrors(form, error),
    onSettled: () => void queries.invalidateQueries({ queryKey: ["products", "list"] }),
    meta: { showsError: true },
  });
}

/** A name that is taken leads to the product that has it. */
function SaveError({ error }: { error: unknown }) {
  const { products } = useTexts("products");
  const isTaken = error instanceof ApiError && error.code === "product_name_taken";
  const known = isTaken ? (error.details as { product_id?: unknown } | null)?.product_id : undefined;
  if (typeof known !== "string") return <FormError error={error} />;
  return (
    <Alert variant="destructive" role="alert">
      <span className="min-w-0 flex-1 basis-40">{products.nameTaken}</span>
      <Button size="sm" variant="outline" asChild>
        <Link from="/products" to="/products" search={(previous) => ({ ...previous, product: known })}>
          {products.openTaken}
        </Link>
      </Button>
    </Alert>
  );
}
